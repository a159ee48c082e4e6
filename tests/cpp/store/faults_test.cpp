// SPDX-License-Identifier: Apache-2.0
// K4: the Nth call to the system fails, for every N until the operation has no Nth call: it throws
// a typed error or succeeds, the next one succeeds, and nothing acknowledged is lost.
#include <gmock/gmock.h>
#include <string.h>

#include "base/files.h"
#include "store/env.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

// Counts the calls that may fail; the one whose turn it is fails, having done half of its work.
class Faults {
 public:
  void arm(int nth, int err) {
    left_ = nth;
    err_ = err;
  }
  bool disarm() { return std::exchange(left_, 0) <= 0; }  // true: it has happened
  leveldb::Status next(const std::string& name) {
    if (left_ <= 0 || --left_ > 0) return leveldb::Status::OK();
    left_ = -1;
    return leveldb::Status::IOError(name, ::strerror(err_));
  }

 private:
  int left_ = 0, err_ = 0;
};

class FaultyFile : public leveldb::WritableFile {
 public:
  FaultyFile(Faults& faults, leveldb::WritableFile* file) : faults_(faults), file_(file) {}
  leveldb::Status Append(const leveldb::Slice& data) override {
    leveldb::Status status = faults_.next("append");
    if (status.ok()) return file_->Append(data);
    file_->Append({data.data(), data.size() / 2});
    file_->Flush();
    return status;
  }
  leveldb::Status Close() override { return after("close", file_->Close()); }
  leveldb::Status Flush() override { return after("flush", file_->Flush()); }
  leveldb::Status Sync() override { return after("sync", file_->Sync()); }

 private:
  leveldb::Status after(const char* name, const leveldb::Status& done) {
    leveldb::Status status = faults_.next(name);
    return status.ok() ? done : status;
  }
  Faults& faults_;
  std::unique_ptr<leveldb::WritableFile> file_;
};

template <typename Base>
class FaultyReader : public Base {
 public:
  FaultyReader(Faults& faults, Base* file) : faults_(faults), file_(file) {}

 protected:
  leveldb::Status next() const { return faults_.next("read"); }
  Faults& faults_;
  std::unique_ptr<Base> file_;
};

struct FaultySequential : FaultyReader<leveldb::SequentialFile> {
  using FaultyReader::FaultyReader;
  leveldb::Status Read(size_t size, leveldb::Slice* result, char* scratch) override {
    leveldb::Status status = next();
    return status.ok() ? file_->Read(size, result, scratch) : status;
  }
  leveldb::Status Skip(uint64_t size) override { return file_->Skip(size); }
};

struct FaultyRandom : FaultyReader<leveldb::RandomAccessFile> {
  using FaultyReader::FaultyReader;
  leveldb::Status Read(uint64_t offset, size_t size, leveldb::Slice* result,
                       char* scratch) const override {
    leveldb::Status status = next();
    return status.ok() ? file_->Read(offset, size, result, scratch) : status;
  }
};

class FaultyEnv : public leveldb::EnvWrapper {
 public:
  FaultyEnv() : EnvWrapper(leveldb::Env::Default()) { set_base_env(this); }
  ~FaultyEnv() override { set_base_env(nullptr); }
  Faults faults;

  bool FileExists(const std::string& path) override {
    return faults.next(path).ok() && target()->FileExists(path);
  }
  leveldb::Status GetChildren(const std::string& path, std::vector<std::string>* names) override {
    return unless(path, [&] { return target()->GetChildren(path, names); });
  }
  leveldb::Status GetFileSize(const std::string& path, uint64_t* size) override {
    return unless(path, [&] { return target()->GetFileSize(path, size); });
  }
  leveldb::Status RemoveFile(const std::string& path) override {
    return unless(path, [&] { return target()->RemoveFile(path); });
  }
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override {
    return unless(from, [&] { return target()->RenameFile(from, to); });
  }
  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** file) override {
    return wrapped<FaultyFile>(path, file, [&] { return target()->NewWritableFile(path, file); });
  }
  leveldb::Status NewAppendableFile(const std::string& path,
                                    leveldb::WritableFile** file) override {
    return wrapped<FaultyFile>(path, file, [&] { return target()->NewAppendableFile(path, file); });
  }
  leveldb::Status NewSequentialFile(const std::string& path,
                                    leveldb::SequentialFile** file) override {
    return wrapped<FaultySequential>(path, file,
                                     [&] { return target()->NewSequentialFile(path, file); });
  }
  leveldb::Status NewRandomAccessFile(const std::string& path,
                                      leveldb::RandomAccessFile** file) override {
    return wrapped<FaultyRandom>(path, file,
                                 [&] { return target()->NewRandomAccessFile(path, file); });
  }

 private:
  leveldb::Status unless(const std::string& path, const std::function<leveldb::Status()>& f) {
    leveldb::Status status = faults.next(path);
    return status.ok() ? f() : status;
  }
  template <typename Wrapper, typename File>
  leveldb::Status wrapped(const std::string& path, File** file,
                          const std::function<leveldb::Status()>& f) {
    leveldb::Status status = unless(path, f);
    if (status.ok()) *file = new Wrapper(faults, *file);
    return status;
  }
};

// What was acknowledged, beside the store that has it.
struct FaultsTest : testing::TestWithParam<int> {
  void begin(const StoreConfig& config) {
    store = open_store(temp.path(), config);
    for (int i = 0; i < 50; ++i) write("old" + std::to_string(i), 3000);
  }
  void write(const std::string& key, std::size_t size) {
    std::string value = std::to_string(++written) + std::string(size, 'v');  // no two are alike
    put(*store, key, value);
    acknowledged[key] = value;
  }
  // Each call of f fails once.
  void sweep(const std::function<void()>& f) {
    bool happened = true;
    for (int nth = 1; happened && !HasFailure(); ++nth) {
      SCOPED_TRACE("call " + std::to_string(nth) + ": " + ::strerror(GetParam()));
      env.faults.arm(nth, GetParam());
      attempt(f);
      happened = env.faults.disarm();
      expect_all();
      write("next" + std::to_string(nth % 7), 100);
      expect_all();
      calls = nth;
    }
  }
  void attempt(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Code::kDataLoss) << error.what();
      EXPECT_EQ(error.sys_errno(), GetParam()) << error.what();
      EXPECT_THAT(error.message(), testing::HasSubstr(temp.path()));
    }
  }
  void expect_all() { EXPECT_TRUE(contents(*store) == acknowledged); }

  TempDir temp;
  FaultyEnv env;
  std::map<std::string, std::string> acknowledged;
  std::shared_ptr<Store> store;
  int calls = 0, written = 0;
};
INSTANTIATE_TEST_SUITE_P(Each, FaultsTest,
                         testing::Values(ENOSPC, EIO, EMFILE, ENOMEM, EINTR, EAGAIN));

TEST_P(FaultsTest, OfAWriteThatOpens) {
  begin(kOpenedEach);
  sweep([&] { write("one", 500); });
  EXPECT_GT(calls, 8);
}

TEST_P(FaultsTest, OfWritesThatCompact) {
  begin({.idle_close = std::chrono::hours(1)});
  sweep([&] {
    write("large", 150'000);  // fills the write buffer
    write("one", 500);
  });
  EXPECT_GT(calls, 8);
}

// A table that cannot be opened for want of descriptors is not damaged: nothing of it is given up.
TEST_P(FaultsTest, OfARepair) {
  begin(kOpenedEach);
  store->repair({}, {});  // all is in tables now
  bool happened = true;
  for (int nth = 1; happened && !HasFailure(); ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth) + ": " + ::strerror(GetParam()));
    env.faults.arm(nth, GetParam());
    attempt([&] { EXPECT_TRUE(store->repair({}, {}).empty()); });
    happened = env.faults.disarm();
    expect_all();
    EXPECT_FALSE(exists_at(temp.fd(), "lost"));
    calls = nth;
  }
  EXPECT_GT(calls, 8);
}

// Of one that was lost: whenever a new one is there, also after a failure, what comes first is in
// it.
TEST_P(FaultsTest, OfARepairOfALostOne) {
  begin(kOpenedEach);
  int failed_and_there = 0;
  bool happened = true;
  for (int nth = 1; happened && !HasFailure(); ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth) + ": " + ::strerror(GetParam()));
    unlink_at(temp.fd(), "CURRENT");
    const std::string value = std::to_string(nth);
    env.faults.arm(nth, GetParam());
    bool failed = true;
    attempt([&] {
      store->repair({}, [&](const View& view, Batch& batch) {
        EXPECT_EQ(view.find("old1"), acknowledged["old1"]);
        batch.put("first", value);
      });
      failed = false;
    });
    happened = env.faults.disarm();
    if (!exists_at(temp.fd(), "CURRENT")) continue;
    failed_and_there += failed;
    acknowledged["first"] = value;
    expect_all();
  }
  EXPECT_GT(failed_and_there, 0);
}

TEST_P(FaultsTest, OfAListAfterACrash) {
  begin(kOpenedEach);
  sweep([&] {
    UniqueFd db = open_at(temp.fd(), "db", O_WRONLY);
    write_all(db.get(), "D");
    expect_all();
  });
  EXPECT_GT(calls, 12);
}

}  // namespace
}  // namespace ctrd::store
