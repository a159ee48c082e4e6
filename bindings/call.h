// SPDX-License-Identifier: Apache-2.0
// How a verb crosses from Python into the engine: the GIL released, Ctrl-C looked for, the verb
// named in its error.
#pragma once

#include <optional>
#include <utility>

#include "base/error.h"
#include "base/time.h"
#include "bindings/pybind.h"

namespace ctrd::bindings {

using Seconds = std::optional<double>;

// Seconds from now as an amount of time; huge ones are for ever.
Nanos to_nanos(double seconds);

// A Wait that ends after `timeout` (none: never) and in which Python's signal handlers run, if this
// is the thread that runs them: what a handler raises (KeyboardInterrupt) ends the wait.
Wait make_wait(Seconds timeout);

// Releases the GIL for its life. Unlike pybind11's it never takes the GIL of an interpreter that is
// ending: CPython would end the thread inside a destructor then, which is std::terminate. Such a
// thread stops here, as it does from CPython 3.14 on.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked();

 private:
  PyThreadState* state_;
};

// Runs f(wait) without the GIL. `verb` becomes the error's .op.
template <class F>
auto call(const char* verb, Seconds timeout, F&& f) {
  const Wait wait = make_wait(timeout);
  const Unlocked unlocked;
  try {
    return std::forward<F>(f)(wait);
  } catch (Error& error) {
    if (error.find("op").empty()) error.with("op", verb);
    throw;
  }
}

}  // namespace ctrd::bindings
