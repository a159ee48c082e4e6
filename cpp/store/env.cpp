// SPDX-License-Identifier: Apache-2.0
#include "store/env.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::store {
namespace {

class WatchedFile : public leveldb::WritableFile {
 public:
  WatchedFile(Env& env, leveldb::WritableFile* file) : env_(env), file_(file) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    return env_.writable().ok() ? seen(file_->Append(data)) : env_.writable();
  }
  leveldb::Status Close() override { return seen(file_->Close()); }
  leveldb::Status Flush() override { return seen(file_->Flush()); }
  leveldb::Status Sync() override { return seen(file_->Sync()); }

 private:
  leveldb::Status seen(leveldb::Status status) {
    env_.note(status);
    return status;
  }

  Env& env_;
  std::unique_ptr<leveldb::WritableFile> file_;
};

class WatchedLog : public leveldb::SequentialFile {
 public:
  WatchedLog(Env& env, leveldb::SequentialFile* file) : env_(env), file_(file) {}

  leveldb::Status Read(size_t size, leveldb::Slice* result, char* scratch) override {
    return seen(file_->Read(size, result, scratch));
  }
  leveldb::Status Skip(uint64_t size) override { return seen(file_->Skip(size)); }

 private:
  leveldb::Status seen(leveldb::Status status) {
    env_.poison(status);
    return status;
  }

  Env& env_;
  std::unique_ptr<leveldb::SequentialFile> file_;
};

class NamedFile : public leveldb::RandomAccessFile {
 public:
  NamedFile(Env& env, std::string path, leveldb::RandomAccessFile* file)
      : env_(env), path_(std::move(path)), file_(file) {}

  leveldb::Status Read(uint64_t offset, size_t size, leveldb::Slice* result,
                       char* scratch) const override {
    env_.reads(path_);
    leveldb::Status status = file_->Read(offset, size, result, scratch);
    env_.note(status);
    return status;
  }

 private:
  Env& env_;
  std::string path_;
  std::unique_ptr<leveldb::RandomAccessFile> file_;
};

class NoLock : public leveldb::FileLock {};

bool is_log(const std::string& path) { return path.size() > 4 && path.ends_with(".log"); }

uint64_t file_size(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 ? static_cast<uint64_t>(facts.st_size) : 0;
}

std::atomic<leveldb::Env*> base{nullptr};

}  // namespace

leveldb::Env* base_env() {
  leveldb::Env* env = base;
  return env ? env : leveldb::Env::Default();
}

void set_base_env(leveldb::Env* env) { base = env; }

Env::Env() : leveldb::EnvWrapper(base_env()) {}

bool Env::run_next() {
  if (background_.empty()) return false;
  auto [work, argument] = background_.front();
  background_.pop_front();
  work(argument);
  return true;
}

void Env::poison(const leveldb::Status& status) {
  note(status);
  if (poison_.ok()) poison_ = status;
}

Env::LogEnd Env::log_end() const {
  return {log_path_, log_path_.empty() ? 0 : file_size(log_path_)};
}

void Env::cut_log(const LogEnd& end) const {
  if (log_path_.empty()) return;
  uint64_t size = log_path_ == end.path ? end.size : 0;
  // If even this fails the caller throws what failed before, and the log is read without reuse.
  if (::truncate(log_path_.c_str(), static_cast<off_t>(size)) != 0) return;
}

leveldb::Status Env::watched(const std::string& path, leveldb::Status status,
                             leveldb::WritableFile** file) {
  note(status);
  if (!status.ok()) return status;
  if (is_log(path)) {
    log_path_ = path;
    filled_buffer_ = true;
  }
  *file = new WatchedFile(*this, *file);
  return status;
}

bool Env::FileExists(const std::string& path) {
  return target()->FileExists(path) || ::access(path.c_str(), F_OK) == 0 || errno != ENOENT;
}

leveldb::Status Env::GetChildren(const std::string& path, std::vector<std::string>* names) {
  leveldb::Status status = target()->GetChildren(path, names);
  if (!status.ok()) return status;
  try {
    *names = list_dir(open_dir(path).get());
  } catch (const Error& error) {
    status = leveldb::Status::IOError(path, ::strerror(error.sys_errno()));
  }
  note(status);
  return status;
}

leveldb::Status Env::NewSequentialFile(const std::string& path, leveldb::SequentialFile** file) {
  reads(path);
  leveldb::Status status = target()->NewSequentialFile(path, file);
  if (!is_log(path)) return status;
  poison(status);
  if (status.ok()) *file = new WatchedLog(*this, *file);
  return status;
}

leveldb::Status Env::NewRandomAccessFile(const std::string& path,
                                         leveldb::RandomAccessFile** file) {
  reads(path);
  leveldb::Status status = target()->NewRandomAccessFile(path, file);
  note(status);  // a compaction's too: LevelDB refuses all writes behind it
  if (status.ok()) *file = new NamedFile(*this, path, *file);
  return status;
}

leveldb::Status Env::NewWritableFile(const std::string& path, leveldb::WritableFile** file) {
  if (!poison_.ok()) return poison_;
  return watched(path, target()->NewWritableFile(path, file), file);
}

leveldb::Status Env::NewAppendableFile(const std::string& path, leveldb::WritableFile** file) {
  if (!poison_.ok()) return poison_;
  return watched(path, target()->NewAppendableFile(path, file), file);
}

leveldb::Status Env::RemoveFile(const std::string& path) {
  return poison_.ok() ? target()->RemoveFile(path) : poison_;
}

leveldb::Status Env::RenameFile(const std::string& from, const std::string& to) {
  if (!poison_.ok()) return poison_;
  leveldb::Status status = target()->RenameFile(from, to);
  note(status);
  return status;
}

leveldb::Status Env::LockFile(const std::string& /*path*/, leveldb::FileLock** lock) {
  *lock = new NoLock;
  return leveldb::Status::OK();
}

leveldb::Status Env::UnlockFile(leveldb::FileLock* lock) {
  delete lock;
  return leveldb::Status::OK();
}

void Env::Schedule(void (*work)(void*), void* argument) {
  background_.emplace_back(work, argument);
}

}  // namespace ctrd::store
