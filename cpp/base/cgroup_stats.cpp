// SPDX-License-Identifier: Apache-2.0
#include "base/cgroup_stats.h"

#include <unistd.h>

#include <charconv>
#include <string_view>

#include "base/cgroup.h"
#include "base/time.h"

namespace ctrd {
namespace {

using Number = std::optional<int64_t>;
using Real = std::optional<double>;

constexpr int64_t kUnlimited = int64_t{1} << 62;  // v1 rounds "none" down to a page

Number number(std::string_view text) {
  int64_t value = 0;
  auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (err != std::errc()) return std::nullopt;  // "max", for one
  return value;
}

// Calls visit(line) for each.
template <typename Visit>
void each_line(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Real scaled(Number value, double units_a_second) {
  if (!value) return std::nullopt;
  return static_cast<double>(*value) / units_a_second;
}

Number or_else(Number first, Number second) { return first ? first : second; }

Number below(Number value, int64_t bound) { return value && *value < bound ? value : std::nullopt; }

void add(Number* sum, Number value) { *sum = sum->value_or(0) + value.value_or(0); }

// The number behind a word in a file of "word number" lines.
Number word_in(std::string_view text, std::string_view key) {
  Number found;
  each_line(text, [&](std::string_view line) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ')
      found = number(line.substr(key.size() + 1));
  });
  return found;
}

bool has_file(int dir, const std::string& name) {
  return ::faccessat(dir, name.c_str(), F_OK, 0) == 0;
}

// The files of all hierarchies as one: no name of v1's is v2's with another meaning except cpu.stat
// and memory.stat, whose words differ.
class Files {
 public:
  Files(const std::vector<UniqueFd>& dirs, std::map<std::string, std::string>* raw)
      : dirs_(dirs), raw_(*raw) {}

  const std::string& text(const std::string& name) {
    auto [entry, fresh] = raw_.try_emplace(name);
    for (auto dir = dirs_.begin(); fresh && entry->second.empty() && dir != dirs_.end(); ++dir)
      entry->second = read_control(dir->get(), name);
    return entry->second;
  }
  Number value(const std::string& name) { return number(text(name)); }
  Number word(const std::string& name, std::string_view key) { return word_in(text(name), key); }
  // The same of all cgroups below too, added up.
  Number words_below(const std::string& name, std::string_view key) {
    Number sum = word(name, key);
    if (!sum) return sum;
    sum = 0;
    for (const UniqueFd& dir : dirs_)
      if (has_file(dir.get(), name))
        walk_cgroup(dir.get(), [&](int at) { add(&sum, word_in(read_control(at, name), key)); });
    return sum;
  }
  bool has(const std::string& name) const {
    for (const UniqueFd& dir : dirs_)
      if (has_file(dir.get(), name)) return true;
    return false;
  }

 private:
  const std::vector<UniqueFd>& dirs_;
  std::map<std::string, std::string>& raw_;
};

CgroupStats::Cpu cpu_of(Files& files) {
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  CgroupStats::Cpu cpu;
  if (auto usage = files.word("cpu.stat", "usage_usec")) {
    cpu.usage = scaled(usage, 1e6);
    cpu.user = scaled(files.word("cpu.stat", "user_usec"), 1e6);
    cpu.system = scaled(files.word("cpu.stat", "system_usec"), 1e6);
    cpu.throttled = scaled(files.word("cpu.stat", "throttled_usec"), 1e6);
    return cpu;
  }
  cpu.usage = scaled(files.value("cpuacct.usage"), 1e9);
  cpu.user = scaled(files.word("cpuacct.stat", "user"), ticks);
  cpu.system = scaled(files.word("cpuacct.stat", "system"), ticks);
  cpu.throttled = scaled(files.word("cpu.stat", "throttled_time"), 1e9);
  return cpu;
}

// v2 counts what is below too, v1 does not.
Number oom_kills_of(Files& files) {
  return or_else(files.word("memory.events", "oom_kill"),
                 files.words_below("memory.oom_control", "oom_kill"));
}

CgroupStats::Memory memory_of(Files& files) {
  CgroupStats::Memory memory;
  memory.usage = or_else(files.value("memory.current"), files.value("memory.usage_in_bytes"));
  memory.limit =
      or_else(files.value("memory.max"), below(files.value("memory.limit_in_bytes"), kUnlimited));
  memory.peak = or_else(files.value("memory.peak"), files.value("memory.max_usage_in_bytes"));
  memory.cache =
      or_else(files.word("memory.stat", "total_cache"), files.word("memory.stat", "file"));
  memory.swap =
      or_else(files.value("memory.swap.current"), files.word("memory.stat", "total_swap"));
  memory.oom_kills = oom_kills_of(files);
  return memory;
}

// "254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0" for each device.
CgroupStats::Io io_of_v2(std::string_view text) {
  CgroupStats::Io io{0, 0, 0, 0};
  const std::pair<std::string_view, Number*> words[] = {{" rbytes=", &io.read_bytes},
                                                        {" wbytes=", &io.write_bytes},
                                                        {" rios=", &io.reads},
                                                        {" wios=", &io.writes}};
  each_line(text, [&](std::string_view line) {
    for (const auto& [word, sum] : words) {
      auto at = line.find(word);
      if (at != line.npos) add(sum, number(line.substr(at + word.size())));
    }
  });
  return io;
}

// "254:0 Read 4096" for each device and kind, then "Total 4096".
// Without a line for any device nobody counts: since Linux 6.10 v1 does for those that somebody has
// limited.
void sum_v1(std::string_view text, Number* read, Number* write) {
  each_line(text, [&](std::string_view line) {
    for (auto [word, sum] : {std::pair{" Read ", read}, std::pair{" Write ", write}}) {
      auto at = line.find(word);
      if (at != line.npos) add(sum, number(line.substr(at + std::string_view(word).size())));
    }
  });
}

// With what is below: the first of these that there is.
std::string v1_io_file(const Files& files, const std::string& what) {
  std::string whole = "blkio.throttle." + what + "_recursive";
  return files.has(whole) ? whole : "blkio.throttle." + what;
}

CgroupStats::Io io_of(Files& files) {
  if (files.has("io.stat")) return io_of_v2(files.text("io.stat"));
  CgroupStats::Io io;
  std::string bytes = v1_io_file(files, "io_service_bytes"),
              count = v1_io_file(files, "io_serviced");
  if (files.has(bytes)) sum_v1(files.text(bytes), &io.read_bytes, &io.write_bytes);
  if (files.has(count)) sum_v1(files.text(count), &io.reads, &io.writes);
  return io;
}

}  // namespace

CgroupStats read_cgroup_stats(const std::vector<UniqueFd>& dirs) {
  CgroupStats stats;
  Files files(dirs, &stats.raw);
  stats.cpu = cpu_of(files);
  stats.memory = memory_of(files);
  stats.pids = {files.value("pids.current"), files.value("pids.max")};
  stats.io = io_of(files);
  stats.time_ns = wall_ns();
  std::erase_if(stats.raw, [](const auto& entry) { return entry.second.empty(); });
  return stats;
}

std::optional<int64_t> read_oom_kills(const std::vector<UniqueFd>& dirs) {
  std::map<std::string, std::string> raw;
  Files files(dirs, &raw);
  return oom_kills_of(files);
}

}  // namespace ctrd
