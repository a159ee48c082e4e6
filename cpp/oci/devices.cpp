// SPDX-License-Identifier: Apache-2.0
#include "oci/devices.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "oci/mounts.h"

namespace ctrd::oci {
namespace {

namespace fs = std::filesystem;

struct Device {
  std::string destination, access;
  struct stat facts {};
};

bool is_device(const struct stat& facts) {
  return S_ISCHR(facts.st_mode) || S_ISBLK(facts.st_mode);
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

struct Words {
  std::string source, destination, access;
};

// Paths of devices may have colons in them (/dev/disk/by-path): what is there as a whole is one.
Words split(const std::string& text) {
  Words words{text, text, "rwm"};
  auto colon = text.find(':');
  if (colon == std::string::npos || exists(text)) return words;
  words.source = text.substr(0, colon);
  std::string rest = text.substr(colon + 1);
  colon = rest.find(':');
  words.destination = rest.substr(0, colon);
  if (colon != std::string::npos) words.access = rest.substr(colon + 1);
  return words;
}

void check_access(const std::string& text, const std::string& access) {
  bool known = !access.empty() && access.find_first_not_of("rwm") == std::string::npos;
  if (!known) throw invalid("devices", text, "access is some of r, w and m");
}

Device device_of(const std::string& text) {
  if (text.empty() || text.front() != '/' || text.find('\0') != std::string::npos)
    throw invalid("devices", text, "a device is an absolute path, \"source[:destination[:rwm]]\"");
  Words words = split(text);
  check_access(text, words.access);
  check_destination("devices", words.destination);
  Device device{normal_path(words.destination), words.access, {}};
  if (::stat(words.source.c_str(), &device.facts) != 0) {
    int err = errno;
    throw sys_error(err, "devices: \"" + words.source + "\"")
        .with("field", "devices")
        .with("path", words.source);
  }
  if (!is_device(device.facts)) throw invalid("devices", words.source, "is no device");
  return device;
}

const char* type_of(const Device& device) { return S_ISCHR(device.facts.st_mode) ? "c" : "b"; }

Json node(const Device& device) {
  return {{"path", device.destination},
          {"type", type_of(device)},
          {"major", major(device.facts.st_rdev)},
          {"minor", minor(device.facts.st_rdev)},
          {"fileMode", device.facts.st_mode & 07777},
          {"uid", device.facts.st_uid},
          {"gid", device.facts.st_gid}};
}

// What every container has its own of, or what stands for something else in each.
bool is_own(const fs::path& path) {
  constexpr std::string_view kOwn[] = {"null",    "zero", "full", "random", "urandom",
                                       "tty",     "ptmx", "pts",  "shm",    "mqueue",
                                       "console", "fd",   "core"};
  std::string name = path.lexically_relative("/dev").begin()->string();
  return std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn);
}

void add_host_devices(std::vector<Device>* devices) {
  std::error_code error;
  fs::recursive_directory_iterator at("/dev", fs::directory_options::skip_permission_denied, error);
  for (; at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (is_own(at->path())) {
      at.disable_recursion_pending();
      continue;
    }
    Device device{at->path().string(), "rwm", {}};
    if (::lstat(device.destination.c_str(), &device.facts) == 0 && is_device(device.facts))
      devices->push_back(std::move(device));
  }
  if (error && error.value() != ENOENT) throw sys_error(error.value(), "list /dev");
}

}  // namespace

Json devices_json(const SpecOptions& options) {
  std::vector<Device> devices;
  if (options.privileged) add_host_devices(&devices);
  for (const std::string& text : options.devices) {
    Device device = device_of(text);
    std::erase_if(devices,
                  [&](const Device& other) { return other.destination == device.destination; });
    devices.push_back(std::move(device));
  }
  Json json = Json::array();
  for (const Device& device : devices) json.push_back(node(device));
  return json;
}

void add_device_rules(Json& rules, const SpecOptions& options) {
  if (options.privileged) {
    rules = Json::array({{{"allow", true}, {"access", "rwm"}}});
    return;
  }
  for (const std::string& text : options.devices) {
    Device device = device_of(text);
    rules.push_back({{"allow", true},
                     {"type", type_of(device)},
                     {"major", major(device.facts.st_rdev)},
                     {"minor", minor(device.facts.st_rdev)},
                     {"access", device.access}});
  }
}

}  // namespace ctrd::oci
