// SPDX-License-Identifier: Apache-2.0
// What becomes of a frame that has been read. Source: shim-protocol.md 1.5
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>

#include "ttrpc/connection.h"

namespace asio = boost::asio;

namespace ctrd::ttrpc {
namespace {

Error to_error(const std::exception& e) {
  if (auto* ours = dynamic_cast<const Error*>(&e)) return *ours;
  auto* system = dynamic_cast<const boost::system::system_error*>(&e);
  bool cancelled = system != nullptr && system->code() == asio::error::operation_aborted;
  return Error(cancelled ? Code::kCancelled : Code::kInternal, e.what());
}

Error too_large(const std::string& what, std::size_t size) {
  return Error(Code::kResourceExhausted, what + ": " + std::to_string(size) +
                                             " bytes are more than the limit of " +
                                             std::to_string(kMaxFrame));
}

// A peer of ttrpc 1.1 dies of a response beyond the limit, so none is ever sent.
Response capped(Response response, const std::string& what) {
  std::size_t size = response.error ? 0 : encode(response).size();
  if (size > kMaxFrame) return {.error = too_large(what, size), .payload = {}};
  return response;
}

asio::awaitable<Response> serve(std::shared_ptr<Hub> hub, Request request) {
  Response response;
  std::string what = request.service + "/" + request.method;
  try {
    auto work = hub->dispatch(std::move(request));
    response.payload = co_await std::move(work);
  } catch (const std::exception& e) {
    response.error = to_error(e);
  }
  co_return capped(std::move(response), what);
}

}  // namespace

void Connection::take(const Header& header, std::string_view data) {
  if (header.length > kMaxFrame) return reject(header.stream, too_large("a frame", header.length));
  if (header.type == static_cast<uint8_t>(FrameType::kData))
    return reject(header.stream,
                  invalid("stream", std::to_string(header.stream), "no such stream is open"));
  if (header.type == static_cast<uint8_t>(FrameType::kRequest)) take_request(header.stream, data);
}

void Connection::take_request(uint32_t stream, std::string_view data) {
  if (stream % 2 == 0 || stream <= last_stream_)
    return reject(stream, invalid("stream", std::to_string(stream), "ids are odd and rise"));
  last_stream_ = stream;
  if (hub_->closing)
    return reject(stream, Error(Code::kUnavailable, "the server is shutting down"));
  if (running_.size() >= hub_->limits.requests)
    return reject(stream, Error(Code::kResourceExhausted,
                                "too many requests are under way on this connection"));
  try {
    run(stream, decode_request(data));
  } catch (const Error& e) {
    reject(stream, e);
  }
}

void Connection::run(uint32_t stream, Request request) {
  auto running = std::make_shared<Running>(stream);
  running_.emplace(stream, running);
  ++hub_->under_way;
  request.caller = caller_;
  if (request.timeout_ns != 0) set_deadline(running, request);
  auto ended = [self = shared_from_this(), running](std::exception_ptr, const Response& response) {
    self->finished(*running, response);
  };
  asio::co_spawn(hub_->loop, serve(hub_, std::move(request)),
                 asio::bind_cancellation_slot(running->cancel.slot(), std::move(ended)));
}

void Connection::set_deadline(const RunningPtr& running, const Request& request) {
  running->deadline =
      std::make_unique<asio::steady_timer>(hub_->loop, after(Nanos(request.timeout_ns)));
  std::string what = request.service + "/" + request.method;
  running->deadline->async_wait([self = shared_from_this(), weak = std::weak_ptr(running),
                                 what](boost::system::error_code error) {
    auto request_now = weak.lock();
    if (!error && request_now) self->expire(*request_now, what);
  });
}

// The answer does not wait for the handler, which may have to roll back first.
void Connection::expire(Running& running, const std::string& what) {
  if (std::exchange(running.answered, true)) return;
  reject(running.stream,
         Error(Code::kDeadlineExceeded, what + ": the deadline of the request has passed"));
  running.cancel.emit(asio::cancellation_type::terminal);
}

void Connection::finished(Running& running, const Response& response) {
  running.deadline.reset();
  running_.erase(running.stream);
  if (std::exchange(running.answered, true)) return hub_->done(1);
  respond(running.stream, response);
}

void Connection::reject(uint32_t stream, Error error) {
  ++hub_->under_way;
  respond(stream, Response{.error = std::move(error), .payload = {}});
}

}  // namespace ctrd::ttrpc
