// SPDX-License-Identifier: Apache-2.0
#include "oci/resources.h"

#include <cmath>

#include "base/error.h"
#include "oci/block_io.h"

namespace ctrd::oci {
namespace {

constexpr int64_t kPeriod = 100000;    // us; the kernel's own default
constexpr int64_t kLeastQuota = 1000;  // us; the kernel refuses less
constexpr double kMaxCpus = 1e6;
constexpr int64_t kDefaultPids = 2048;

Json rule(bool allow, Json type, Json major, Json minor) {
  Json json = {{"allow", allow}, {"access", "rwm"}};
  if (!type.is_null()) json["type"] = std::move(type);
  if (!major.is_null()) json["major"] = std::move(major);
  if (!minor.is_null()) json["minor"] = std::move(minor);
  return json;
}

// null zero full random urandom, tty console ptmx, and every pts: what a fresh /dev has.
Json device_rules() {
  Json rules = Json::array({rule(false, nullptr, nullptr, nullptr)});
  for (int minor : {3, 5, 7, 8, 9}) rules.push_back(rule(true, "c", 1, minor));
  for (int minor : {0, 1, 2}) rules.push_back(rule(true, "c", 5, minor));
  rules.push_back(rule(true, "c", 136, nullptr));
  return rules;
}

// A limit in bytes, or -1.
int64_t bytes(std::string_view field, int64_t value) {
  if (value > 0 || value == -1) return value;
  throw invalid(field, std::to_string(value), "must be positive, or -1 for no limit");
}

// -1 is no entry: crun 1.8 writes "-1" for pids, which v1 refuses.
void set_limit(Json& part, const char* key, int64_t value) {
  if (value == -1) {
    part.erase(key);
  } else {
    part[key] = value;
  }
}

// A limit on memory and swap together ends with the one on memory.
void apply_memory(Json& memory, const ResourceOptions& options) {
  if (options.memory_bytes) set_limit(memory, "limit", bytes("memory", *options.memory_bytes));
  if (options.memory_bytes == -1) memory.erase("swap");
  if (options.swap_bytes) {
    int64_t total = bytes("swap", *options.swap_bytes);
    if (total != -1 && !memory.contains("limit"))
      throw invalid("swap", std::to_string(total), "needs a memory limit");
    set_limit(memory, "swap", total);
  }
  if (!memory.contains("swap") || !memory.contains("limit")) return;
  auto total = memory["swap"].get<int64_t>();
  if (total != -1 && total < memory["limit"].get<int64_t>()) {
    throw invalid("swap", std::to_string(total),
                  "is memory and swap together, so not below memory");
  }
}

int64_t quota(double cpus) {
  if (!std::isfinite(cpus) || cpus <= 0 || cpus > kMaxCpus) {
    throw invalid("cpus", std::to_string(cpus),
                  "must be positive, at most a million, or -1 for no limit");
  }
  int64_t micros = std::llround(cpus * static_cast<double>(kPeriod));
  if (micros < kLeastQuota) throw invalid("cpus", std::to_string(cpus), "must be at least 0.01");
  return micros;
}

// cgroup v2's weight (1 to 10,000) as v1's shares (2 to 262,144), which both runtimes turn back and
// round down: so these are rounded up.
// Source: runtime-spec, crun.1 "CPU controller".
int64_t shares(int64_t weight) {
  if (weight < 1 || weight > 10000) {
    throw invalid("cpu_weight", std::to_string(weight), "must be 1 to 10000");
  }
  return 2 + ((weight - 1) * 262142 + 9998) / 9999;
}

std::string cpuset(std::string_view field, const std::string& list) {
  if (list.empty() || list.find_first_not_of("0123456789,-") != std::string::npos) {
    throw invalid(field, list, "must be a list such as 0-3,7");
  }
  return list;
}

void apply_cpu(Json& cpu, const ResourceOptions& options) {
  if (options.cpus == -1.0) {
    cpu.erase("quota");
    cpu.erase("period");
  } else if (options.cpus) {
    cpu["quota"] = quota(*options.cpus);
    cpu["period"] = kPeriod;
  }
  if (options.cpu_weight) cpu["shares"] = shares(*options.cpu_weight);
  if (options.cpuset_cpus) cpu["cpus"] = cpuset("cpuset_cpus", *options.cpuset_cpus);
  if (options.cpuset_mems) cpu["mems"] = cpuset("cpuset_mems", *options.cpuset_mems);
}

int64_t pids(int64_t value) {
  if (value > 0 || value == -1) return value;
  throw invalid("pids", std::to_string(value), "must be positive, or -1 for no limit");
}

// A part of resources as an object, changed; it goes when nothing is left in it.
template <typename Apply>
void change_part(Json& resources, const char* name, const Apply& apply) {
  Json part = resources.value(name, Json::object());
  if (!part.is_object()) part = Json::object();
  apply(part);
  if (part.empty()) {
    resources.erase(name);
  } else {
    resources[name] = std::move(part);
  }
}

}  // namespace

Json resources_json(const ResourceOptions& options) {
  Json resources = {{"devices", device_rules()}, {"pids", {{"limit", kDefaultPids}}}};
  apply_resources(resources, options);
  return resources;
}

void apply_resources(Json& resources, const ResourceOptions& options) {
  change_part(resources, "memory", [&](Json& memory) { apply_memory(memory, options); });
  change_part(resources, "cpu", [&](Json& cpu) { apply_cpu(cpu, options); });
  change_part(resources, "pids", [&](Json& part) {
    if (options.pids) set_limit(part, "limit", pids(*options.pids));
  });
  change_part(resources, "blockIO", [&](Json& io) { apply_io(io, options.io); });
}

}  // namespace ctrd::oci
