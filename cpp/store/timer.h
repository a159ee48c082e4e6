// SPDX-License-Identifier: Apache-2.0
// The thread that looks after an idle open database: asks a function every 5 ms, and ends when that
// says so. It never touches Python, takes no signal, and belongs to the process that started it: a
// fork()ed child has none and must abandon the object.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <functional>
#include <mutex>

#include "base/time.h"

namespace ctrd::store {

class Timer {
 public:
  // tick: called in the thread; false ends it. The caller's own lock orders tick, running() and
  // start().
  explicit Timer(std::function<bool()> tick) : tick_(std::move(tick)) {}
  ~Timer() { stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Starts the thread if none runs. False: the system gives no thread.
  bool start();
  // Ends the thread and waits for it; not under the lock that tick takes. For good.
  void stop();
  // Said by tick, under the caller's lock, before it returns false: the next start() starts anew.
  void ends() { running_ = false; }

 private:
  static void* entry(void* self);
  bool create();
  void join();
  bool pause();  // false: the object goes

  std::function<bool()> tick_;
  bool running_ = false;   // guarded by the caller's lock
  bool joinable_ = false;  // the same
  pthread_t thread_{};
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
};

}  // namespace ctrd::store
