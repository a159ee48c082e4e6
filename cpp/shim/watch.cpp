// SPDX-License-Identifier: Apache-2.0
#include "shim/watch.h"

#include <sys/stat.h>

#include <utility>

namespace ctrd::shim {

Watch::Watch(boost::asio::io_context& loop, UniqueFd fd, std::function<void()> gone) {
  struct stat facts {};
  if (!fd || ::fstat(fd.get(), &facts) < 0 || S_ISCHR(facts.st_mode)) return;
  pidfd_.emplace(loop, fd.release());
  pidfd_->async_wait(pidfd_->wait_read,
                     [gone = std::move(gone)](const boost::system::error_code& error) {
                       if (!error) gone();
                     });
}

void Watch::stop() { pidfd_.reset(); }

}  // namespace ctrd::shim
