// SPDX-License-Identifier: Apache-2.0
#include "oci/block_io.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/error.h"

namespace ctrd::oci {
namespace {

struct Device {
  unsigned major = 0, minor = 0;
};

std::optional<Device> numbers(std::string_view text) {
  Device device;
  const char* end = text.data() + text.size();
  auto [colon, err] = std::from_chars(text.data(), end, device.major);
  if (err != std::errc() || colon == end || *colon != ':') return std::nullopt;
  auto [last, fault] = std::from_chars(colon + 1, end, device.minor);
  if (fault != std::errc() || last != end) return std::nullopt;
  return device;
}

Device device_at(const std::string& path) {
  if (path.empty() || path.front() != '/' || path.find('\0') != std::string::npos)
    throw invalid("io", path, "a device is an absolute path, major:minor, or * for a weight");
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) {
    int err = errno;
    throw sys_error(err, "io: device \"" + path + "\"").with("field", "io").with("path", path);
  }
  if (!S_ISBLK(found.st_mode)) throw invalid("io", path, "is no block device");
  return {major(found.st_rdev), minor(found.st_rdev)};
}

// The kernel limits whole disks only.
Device device_of(const std::string& name) {
  auto device = numbers(name);
  if (!device) device = device_at(name);
  std::string sys =
      "/sys/dev/block/" + std::to_string(device->major) + ":" + std::to_string(device->minor);
  if (::access(sys.c_str(), F_OK) != 0) throw invalid("io", name, "is no block device");
  if (::access((sys + "/partition").c_str(), F_OK) == 0)
    throw invalid("io", name, "is a partition; limits are for whole disks");
  return *device;
}

// Takes this device out of a list; puts it back with the value unless that is -1.
void set_entry(Json& io, const char* list, const Device& device, const char* key, int64_t value) {
  Json entries = io.value(list, Json::array());
  if (!entries.is_array()) entries = Json::array();
  auto same = [&](const Json& entry) {
    return entry.is_object() && entry.value("major", -1) == static_cast<int>(device.major) &&
           entry.value("minor", -1) == static_cast<int>(device.minor);
  };
  entries.erase(std::remove_if(entries.begin(), entries.end(), same), entries.end());
  if (value != -1)
    entries.push_back({{"major", device.major}, {"minor", device.minor}, {key, value}});
  if (entries.empty()) {
    io.erase(list);
  } else {
    io[list] = std::move(entries);
  }
}

void check_rate(const char* what, int64_t rate) {
  if (rate >= 1 || rate == -1) return;
  throw invalid("io", std::to_string(rate),
                std::string(what) + " must be positive, or -1 for no limit");
}

void check_weight(int64_t weight) {
  if (weight >= 10 && weight <= 1000) return;
  throw invalid("io", std::to_string(weight), "weight must be 10 to 1000");
}

struct Rate {
  const char* name;
  const char* list;
  std::optional<int64_t> IoOptions::*value;
};
constexpr Rate kRates[] = {
    {"read_bps", "throttleReadBpsDevice", &IoOptions::read_bps},
    {"write_bps", "throttleWriteBpsDevice", &IoOptions::write_bps},
    {"read_iops", "throttleReadIOPSDevice", &IoOptions::read_iops},
    {"write_iops", "throttleWriteIOPSDevice", &IoOptions::write_iops},
};

bool has_rate(const IoOptions& options) {
  return std::any_of(std::begin(kRates), std::end(kRates),
                     [&](const Rate& rate) { return (options.*rate.value).has_value(); });
}

void apply_all_devices(Json& io, const IoOptions& options) {
  if (has_rate(options)) throw invalid("io", "*", "takes a weight only: rates are of one device");
  io["weight"] = *options.weight;
}

}  // namespace

void apply_io(Json& io, const std::vector<IoOptions>& all) {
  for (const IoOptions& options : all) {
    if (options.weight) check_weight(*options.weight);
    if (!options.weight && !has_rate(options))
      throw invalid("io", options.device, "says nothing of this device");
    if (options.device == "*") {
      apply_all_devices(io, options);
      continue;
    }
    Device device = device_of(options.device);
    for (const Rate& rate : kRates) {
      const auto& value = options.*rate.value;
      if (!value) continue;
      check_rate(rate.name, *value);
      set_entry(io, rate.list, device, "rate", *value);
    }
    if (options.weight) set_entry(io, "weightDevice", device, "weight", *options.weight);
  }
}

}  // namespace ctrd::oci
