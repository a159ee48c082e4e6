// SPDX-License-Identifier: Apache-2.0
// The shim's events, strictly in order, into the journal of the engine that made its task, or to
// containerd. What cannot be told now (a full disk) waits and is tried again; a task never fails
// for it.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "api/event.h"
#include "journal/writer.h"
#include "shim/event.h"
#include "shim/forwarder.h"

namespace ctrd::shim {

class Publisher {
 public:
  Publisher(asio::io_context& loop, std::string ns) : loop_(loop), ns_(std::move(ns)) {}

  // To containerd from now on, instead of to a journal. address: its TTRPC_ADDRESS; "": nobody is
  // told.
  void forward_to(const std::string& address);
  // journal: an absolute path; "": nobody is told. instance: of the task.
  //   Throws: invalid, kPermissionDenied unless it is a directory of ours that only we may write
  void open(const std::string& journal, std::string instance);
  // What happens once to the task's init.
  template <typename T>
  void publish(const T& message) {
    api::Event event = api::make_event(ns_, message);
    event.id = api::event_id(instance_, event.topic);
    add(std::move(event));
  }
  // What may happen several times.
  template <typename T>
  void publish_new(const T& message) {
    add(api::make_event(ns_, message));
  }
  // The last chance, before the process ends. What does not get through is logged.
  void finish();
  // The same for what goes to containerd: see LastChance.
  asio::awaitable<void> finish_forwarding();
  // Something waits for containerd.
  bool is_forwarding() const { return forwarder_ && forwarder_->waiting() > 0; }

 private:
  void add(api::Event event);
  bool append_all();
  asio::awaitable<void> retry();

  asio::io_context& loop_;
  std::string ns_, instance_;
  std::optional<journal::Writer> writer_;
  std::optional<Forwarder> forwarder_;
  std::deque<std::string> waiting_;
  bool retrying_ = false;
};

}  // namespace ctrd::shim
