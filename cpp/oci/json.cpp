// SPDX-License-Identifier: Apache-2.0
#include "oci/json.h"

#include <vector>

#include "base/error.h"

namespace ctrd::oci {
namespace {

constexpr std::size_t kMaxDepth = 64;

// Builds the value while nlohmann's (iterative) parser reads, so that depth and keys are checked
// before anything is made.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::string_view field) : field_(field) {}
  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (open_.back()->contains(name)) throw invalid(field_, name, "JSON has this key twice");
    slot_ = &(*open_.back())[name];
    return true;
  }
  bool parse_error(std::size_t at, const std::string& token, const Json::exception&) override {
    throw invalid(field_, token, "no JSON at byte " + std::to_string(at));
  }

 private:
  Json* add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *slot_ = std::move(value);
    return slot_;
  }
  bool put(Json value) {
    add(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (open_.size() == kMaxDepth) {
      throw invalid(field_, std::to_string(kMaxDepth + 1), "JSON is nested too deeply");
    }
    open_.push_back(add(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view field_;
  Json root_;
  std::vector<Json*> open_;
  Json* slot_ = nullptr;
};

}  // namespace

Json parse_json(std::string_view text, std::string_view field, std::size_t max) {
  if (text.size() > max) {
    throw Error(Code::kResourceExhausted, std::string(field) + ": " + std::to_string(text.size()) +
                                              " bytes of JSON, at most " + std::to_string(max) +
                                              " are allowed")
        .with("field", std::string(field));
  }
  Builder builder(field);
  Json::sax_parse(text, &builder);
  return builder.take();
}

std::string dump_json(const Json& json, std::string_view field) {
  try {
    return json.dump();
  } catch (const Json::type_error&) {
    throw invalid(field, json.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 256),
                  "has text in it that is not UTF-8");
  }
}

bool is_utf8(const std::string& text) {
  try {
    Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

}  // namespace ctrd::oci
