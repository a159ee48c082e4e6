// SPDX-License-Identifier: Apache-2.0
#include "oci/update.h"

#include <map>

#include "oci/json.h"
#include "oci/resources.h"

namespace ctrd::oci {
namespace {

using Pointer = Json::json_pointer;

// -1 lifts a limit that was there.
Json memory_json(const Json& before, const Json& after) {
  Json memory = Json::object();
  memory["limit"] = after.value(Pointer("/memory/limit"), int64_t{-1});
  bool had = before.contains(Pointer("/memory/swap")),
       has = after.contains(Pointer("/memory/swap"));
  if (had || has) memory["swap"] = after.value(Pointer("/memory/swap"), int64_t{-1});
  return memory;
}

// Only what is set: the rest is lifted by controls.
Json runtime_json(const Json& before, const Json& after, const ResourceOptions& changes) {
  Json told = Json::object();
  if (changes.memory_bytes || changes.swap_bytes) told["memory"] = memory_json(before, after);
  bool cpu = changes.cpus || changes.cpu_weight || changes.cpuset_cpus || changes.cpuset_mems;
  if (cpu && after.contains("cpu")) told["cpu"] = after["cpu"];
  if (changes.pids && after.contains("pids")) told["pids"] = after["pids"];
  if (!changes.io.empty() && after.contains("blockIO")) told["blockIO"] = after["blockIO"];
  return told;
}

struct Throttle {
  const char* list;
  const char* v1;
  const char* v2;  // the word in io.max
};
constexpr Throttle kThrottles[] = {
    {"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"},
    {"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"},
    {"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"},
    {"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"},
};

// "major:minor" -> rate; 0: none.
using Rates = std::map<std::string, uint64_t>;

void add_rates(const Json& resources, const char* list, bool lifted, Rates* rates) {
  Json entries = resources.value(Pointer(std::string("/blockIO/") + list), Json::array());
  for (const Json& entry : entries) {
    std::string device =
        std::to_string(entry.value("major", 0)) + ":" + std::to_string(entry.value("minor", 0));
    (*rates)[device] = lifted ? 0 : entry.value("rate", uint64_t{0});
  }
}

Control io_control(const char* file, const std::string& device, const std::string& value) {
  return {file, device + " " + value, "io"};
}

void add_throttle(const Json& created, const Json& before, const Json& after,
                  const Throttle& throttle, std::vector<Control>* controls) {
  Rates rates;
  add_rates(created, throttle.list, true, &rates);
  add_rates(before, throttle.list, true, &rates);
  add_rates(after, throttle.list, false, &rates);
  for (const auto& [device, rate] : rates) {
    std::string text = std::to_string(rate), word = rate == 0 ? "max" : text;
    controls->push_back(io_control(throttle.v1, device, text));
    controls->push_back(io_control("io.max", device, throttle.v2 + ("=" + word)));
  }
}

// All that the runtime may not have done, also what an earlier update did: runc's writes again what
// it was told at creation.
std::vector<Control> controls_of(const Json& created, const Json& before, const Json& after) {
  std::vector<Control> controls;
  if (!after.contains(Pointer("/pids/limit"))) controls.push_back({"pids.max", "max", "pids"});
  if (!after.contains(Pointer("/cpu/quota"))) {
    controls.push_back({"cpu.cfs_quota_us", "-1", "cpus"});
    controls.push_back({"cpu.max", "max", "cpus"});
  }
  for (const Throttle& throttle : kThrottles)
    add_throttle(created, before, after, throttle, &controls);
  return controls;
}

}  // namespace

ResourceUpdate update_resources(std::string_view stored_spec, const ResourceOptions& changes,
                                std::string_view created_spec) {
  Json spec = parse_json(stored_spec, "spec");
  Json& resources = spec["linux"]["resources"];
  if (resources.is_null()) resources = Json::object();
  const Json before = resources;
  apply_resources(resources, changes);
  ResourceUpdate update;
  update.resources = dump_json(runtime_json(before, resources, changes), "resources");
  const Json created =
      parse_json(created_spec, "config.json").value(Pointer("/linux/resources"), Json::object());
  update.controls = controls_of(created, before, resources);
  update.undo = controls_of(created, resources, before);
  update.spec = dump_json(spec, "spec");
  return update;
}

}  // namespace ctrd::oci
