// SPDX-License-Identifier: Apache-2.0
#include "snapshot/layer_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "snapshot/entry.h"

namespace ctrd::snapshot {
namespace {

constexpr std::size_t kBlock = 64u << 10;

class Reader {
 public:
  Reader(const std::function<void(std::string_view)>& take, const Wait& wait)
      : take_(take), wait_(wait) {}

  void directory(int dir, const std::string& path, int depth) {
    if (depth > kMaxTreeDepth)
      throw Error(Code::kResourceExhausted, "read a layer: more than 200 levels deep: " + path);
    struct stat facts {};
    if (::fstat(dir, &facts) < 0) throw sys_error("stat a directory");
    about(path, facts, fd_path(dir, "."));
    std::vector<std::string> names = list_dir(dir);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      wait_.check();
      entry(dir, name, std::string(path).append(1, '/').append(name), depth);
    }
  }
  uint64_t size() const { return size_; }

 private:
  // With its length, so that what follows is not taken for a part of it.
  void put(std::string_view bytes) {
    put(bytes.size());
    take_(bytes);
  }
  void put(uint64_t number) {
    char bytes[sizeof(number)];
    for (char& byte : bytes) {
      byte = static_cast<char>(number & 0xff);
      number >>= 8;
    }
    take_({bytes, sizeof(bytes)});
  }

  void about(const std::string& path, const struct stat& facts, const std::string& shown) {
    const bool is_device = S_ISCHR(facts.st_mode) || S_ISBLK(facts.st_mode);
    put(path);
    put(facts.st_mode);
    put(facts.st_uid);
    put(facts.st_gid);
    put(is_device ? facts.st_rdev : 0);
    auto attributes = read_xattrs(shown, true);
    put(attributes.size());
    for (const auto& [key, value] : attributes) {
      put(key);
      put(value);
    }
  }

  void entry(int dir, const std::string& name, const std::string& path, int depth) {
    struct stat facts {};
    if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0)
      throw sys_error("stat " + fd_path(dir, name));
    if (S_ISDIR(facts.st_mode)) return directory(open_dir_at(dir, name).get(), path, depth + 1);
    about(path, facts, fd_path(dir, name));
    auto [known, is_new] = links_.emplace(std::pair(facts.st_dev, facts.st_ino), path);
    put(is_new ? std::string() : known->second);
    if (!is_new) return;
    if (S_ISLNK(facts.st_mode)) put(read_link_at(dir, name));
    if (S_ISREG(facts.st_mode)) content(open_regular_at(dir, name).get());
  }

  // Blocks of zeros are left out, so a hole need not be read.
  void content(int file) {
    struct stat facts {};
    if (::fstat(file, &facts) < 0) throw sys_error("stat a file of a layer");
    put(static_cast<uint64_t>(facts.st_size));
    size_ += static_cast<uint64_t>(facts.st_size);
    std::string block(kBlock, '\0');
    for (off_t at = 0; at < facts.st_size; at += kBlock) {
      wait_.check();
      const off_t data = ::lseek(file, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) return;
      if (data > at) at = data / static_cast<off_t>(kBlock) * static_cast<off_t>(kBlock);
      const std::size_t got = read_block(file, at, block);
      const bool is_zero =
          got == 0 || (block[0] == '\0' && std::memcmp(&block[0], &block[1], got - 1) == 0);
      if (is_zero) continue;
      put(static_cast<uint64_t>(at));
      put(std::string_view(block).substr(0, got));
    }
  }

  static std::size_t read_block(int file, off_t at, std::string& block) {
    std::size_t got = 0;
    while (got < block.size()) {
      ssize_t n =
          ::pread(file, block.data() + got, block.size() - got, at + static_cast<off_t>(got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw sys_error("read a file of a layer");
      if (n == 0) break;
      got += static_cast<std::size_t>(n);
    }
    return got;
  }

  const std::function<void(std::string_view)>& take_;
  const Wait& wait_;
  uint64_t size_ = 0;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

uint64_t read_layer(int dir, const std::function<void(std::string_view)>& take, const Wait& wait) {
  Reader reader(take, wait);
  reader.directory(dir, "", 0);
  return reader.size();
}

}  // namespace ctrd::snapshot
