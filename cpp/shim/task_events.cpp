// SPDX-License-Identifier: Apache-2.0
// What a task tells: create < start < oom < exit < delete, each before the verb that did it is
// answered. Source: semantics.md S12, shim-protocol.md 3.6.
#include "shim/task.h"

namespace ctrd::shim {

void Task::publish_created() {
  side_.publisher.publish(api::TaskCreate{
      .container_id = side_.id,
      .bundle = request_.bundle,
      .rootfs = request_.rootfs,
      .io = {request_.stdin_path, request_.stdout_path, request_.stderr_path, request_.terminal},
      .checkpoint = request_.checkpoint,
      .pid = pid()});
}

void Task::publish_exit() {
  side_.publisher.publish(api::TaskExit{.container_id = side_.id,
                                        .id = side_.id,
                                        .pid = pid(),
                                        .exit_status = static_cast<uint32_t>(ended_->status),
                                        .exited_ns = ended_->time_ns});
}

void Task::publish_deleted() {
  side_.publisher.publish(api::TaskDelete{.container_id = side_.id,
                                          .pid = pid(),
                                          .exit_status = static_cast<uint32_t>(ended_->status),
                                          .exited_ns = ended_->time_ns,
                                          .id = {}});
}

}  // namespace ctrd::shim
