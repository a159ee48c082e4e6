// SPDX-License-Identifier: Apache-2.0
#include "shim/metrics.h"

#include <unistd.h>

#include <array>
#include <limits>

#include "api/metrics.h"
#include "shim/control_files.h"

namespace ctrd::shim {
namespace {

using api::MetricsV1;
using api::MetricsV2;

constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kSecond = 1'000'000'000;

template <std::size_t N>
std::array<uint64_t, N> numbers_of(const std::map<std::string, uint64_t, std::less<>>& words,
                                   const std::array<std::string_view, N>& names) {
  std::array<uint64_t, N> numbers{};
  for (std::size_t i = 0; i < N; ++i) {
    auto word = words.find(names[i]);
    if (word != words.end()) numbers[i] = word->second;
  }
  return numbers;
}

MetricsV1::Cpu cpu_v1(const ControlFiles& files) {
  const auto tick = kSecond / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  auto halves = files.words("cpuacct.stat");
  auto quota = files.words("cpu.stat");
  return {.usage = {.total = files.value("cpuacct.usage"),
                    .kernel = halves["system"] * tick,
                    .user = halves["user"] * tick,
                    .per_cpu = files.values("cpuacct.usage_percpu")},
          .throttling = {.periods = quota["nr_periods"],
                         .throttled_periods = quota["nr_throttled"],
                         .throttled_time = quota["throttled_time"]}};
}

MetricsV1::MemoryEntry memory_entry(const ControlFiles& files, const std::string& prefix) {
  return {.limit = files.value(prefix + ".limit_in_bytes"),
          .usage = files.value(prefix + ".usage_in_bytes"),
          .max = files.value(prefix + ".max_usage_in_bytes"),
          .failcnt = files.value(prefix + ".failcnt")};
}

MetricsV1::Memory memory_v1(const ControlFiles& files) {
  return {.stat = numbers_of(files.words("memory.stat"), api::kMemoryWordsV1),
          .usage = memory_entry(files, "memory"),
          .swap = memory_entry(files, "memory.memsw"),
          .kernel = memory_entry(files, "memory.kmem"),
          .kernel_tcp = memory_entry(files, "memory.kmem.tcp")};
}

std::string device_name(std::string_view numbers) {
  std::string link = "/sys/dev/block/" + std::string(numbers);
  std::array<char, 256> target{};
  ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  if (size <= 0) return {};
  std::string_view path(target.data(), static_cast<std::size_t>(size));
  return "/dev/" + std::string(path.substr(path.rfind('/') + 1));
}

// Lines "254:0 Read 4096", and a last one "Total 4096". With what is below, if the kernel has that.
std::vector<MetricsV1::BlkioEntry> blkio_list(const ControlFiles& files, const std::string& name) {
  std::string text = files.text(name + "_recursive");
  if (text.empty()) text = files.text(name);
  std::vector<MetricsV1::BlkioEntry> entries;
  for (std::string_view line : split(text, "\n")) {
    std::vector<std::string_view> words = split(line, " ");
    std::vector<std::string_view> device = words.size() == 3 ? split(words[0], ":") : words;
    if (words.size() != 3 || device.size() != 2) continue;
    entries.push_back({.op = std::string(words[1]),
                       .device = device_name(words[0]),
                       .major = number_of(device[0]),
                       .minor = number_of(device[1]),
                       .value = number_of(words[2])});
  }
  return entries;
}

// The other lists were CFQ's, which the kernel has no more.
MetricsV1::Blkio blkio_v1(const ControlFiles& files) {
  MetricsV1::Blkio blkio;
  for (const char* what : {"io_service_bytes", "io_serviced"})
    blkio.lists[api::place_of(what, api::kBlkioListsV1)] =
        blkio_list(files, std::string("blkio.throttle.") + what);
  return blkio;
}

MetricsV1 metrics_v1(const ControlFiles& files) {
  MetricsV1 metrics;
  for (const std::string& size : files.between("hugetlb.", ".usage_in_bytes")) {
    std::string prefix = "hugetlb." + size;
    metrics.hugetlb.push_back({.usage = files.value(prefix + ".usage_in_bytes"),
                               .max = files.value(prefix + ".max_usage_in_bytes"),
                               .failcnt = files.value(prefix + ".failcnt"),
                               .pagesize = size});
  }
  metrics.pids = {.current = files.value("pids.current"), .limit = files.value("pids.max")};
  metrics.cpu = cpu_v1(files);
  metrics.memory = memory_v1(files);
  metrics.blkio = blkio_v1(files);
  auto oom = files.words("memory.oom_control");
  metrics.memory_oom_control = {.oom_kill_disable = oom["oom_kill_disable"],
                                .under_oom = oom["under_oom"],
                                .oom_kill = oom["oom_kill"]};
  return metrics;
}

MetricsV2::Cpu cpu_v2(const ControlFiles& files) {
  auto words = files.words("cpu.stat");
  return {.usage_usec = words["usage_usec"],
          .user_usec = words["user_usec"],
          .system_usec = words["system_usec"],
          .nr_periods = words["nr_periods"],
          .nr_throttled = words["nr_throttled"],
          .throttled_usec = words["throttled_usec"]};
}

MetricsV2::Memory memory_v2(const ControlFiles& files) {
  auto words = files.words("memory.stat");
  for (std::string word : {"workingset_refault", "workingset_activate"})  // two each since 5.9
    if (!words.contains(word)) words[word] = words[word + "_anon"] + words[word + "_file"];
  return {.stat = numbers_of(words, api::kMemoryWordsV2),
          .usage = files.value("memory.current"),
          .usage_limit = files.value("memory.max", kNone),
          .swap_usage = files.value("memory.swap.current"),
          .swap_limit = files.value("memory.swap.max", kNone),
          .max_usage = files.value("memory.peak"),
          .swap_max_usage = files.value("memory.swap.peak")};
}

// "254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0" for each device.
MetricsV2::Io io_v2(const ControlFiles& files) {
  MetricsV2::Io io;
  std::string text = files.text("io.stat");
  for (std::string_view line : split(text, "\n")) {
    std::vector<std::string_view> parts = split(line, " :=");
    if (parts.size() < 4) continue;  // a device without figures
    std::map<std::string_view, uint64_t> words;
    for (std::size_t i = 2; i + 1 < parts.size(); i += 2) words[parts[i]] = number_of(parts[i + 1]);
    io.usage.push_back({.major = number_of(parts[0]),
                        .minor = number_of(parts[1]),
                        .rbytes = words["rbytes"],
                        .wbytes = words["wbytes"],
                        .rios = words["rios"],
                        .wios = words["wios"]});
  }
  return io;
}

MetricsV2 metrics_v2(const ControlFiles& files) {
  MetricsV2 metrics;
  metrics.pids = {.current = files.value("pids.current"), .limit = files.value("pids.max", kNone)};
  metrics.cpu = cpu_v2(files);
  metrics.memory = memory_v2(files);
  metrics.io = io_v2(files);
  for (const std::string& size : files.between("hugetlb.", ".current")) {
    std::string prefix = "hugetlb." + size;
    metrics.hugetlb.push_back({.current = files.value(prefix + ".current"),
                               .max = files.value(prefix + ".max", kNone),
                               .pagesize = size,
                               .failcnt = files.words(prefix + ".events")["max"]});
  }
  auto events = files.words("memory.events");
  metrics.memory_events = {.low = events["low"],
                           .high = events["high"],
                           .max = events["max"],
                           .oom = events["oom"],
                           .oom_kill = events["oom_kill"],
                           .oom_group_kill = events["oom_group_kill"]};
  return metrics;
}

}  // namespace

api::Any cgroup_metrics(const std::vector<UniqueFd>& dirs) {
  ControlFiles files(dirs);
  if (files.all_v2()) return {std::string(api::kMetricsV2Type), api::encode(metrics_v2(files))};
  return {std::string(api::kMetricsV1Type), api::encode(metrics_v1(files))};
}

}  // namespace ctrd::shim
