// SPDX-License-Identifier: Apache-2.0
#include "shim/containerd_options.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "api/any_type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/process.h"
#include "base/spawn.h"
#include "shim/toml.h"

namespace ctrd::shim {
namespace {

constexpr const char* kDefaultRuntime = "runc";

api::RuncOptions from_create_options(const api::RuncCreateOptions& theirs) {
  return {.no_pivot_root = theirs.no_pivot_root,
          .no_new_keyring = theirs.no_new_keyring,
          .shim_cgroup = theirs.shim_cgroup,
          .io_uid = theirs.io_uid,
          .io_gid = theirs.io_gid};
}

api::RuncOptions from_linux_options(const api::LinuxRuncOptions& theirs) {
  return {.binary_name = theirs.runtime,
          .root = theirs.runtime_root,
          .criu_path = theirs.criu_path,
          .systemd_cgroup = theirs.systemd_cgroup};
}

// The names are those of CRI's configuration.
api::RuncOptions from_toml(const Toml& toml) {
  return {.no_pivot_root = toml.flag("NoPivotRoot"),
          .no_new_keyring = toml.flag("NoNewKeyring"),
          .shim_cgroup = toml.text("ShimCgroup"),
          .io_uid = toml.number("IoUid"),
          .io_gid = toml.number("IoGid"),
          .binary_name = toml.text("BinaryName"),
          .root = toml.text("Root"),
          .systemd_cgroup = toml.flag("SystemdCgroup")};
}

api::RuncOptions from_runtime_options(const api::RuntimeOptions& theirs) {
  std::string body = theirs.config_body;
  if (body.empty() && !theirs.config_path.empty()) {
    const std::string& path = theirs.config_path;
    if (!path.starts_with('/')) throw invalid("config_path", path, "not an absolute path");
    std::size_t slash = path.rfind('/');
    try {
      body = read_file_at(open_dir(slash == 0 ? "/" : path.substr(0, slash)).get(),
                          path.substr(slash + 1));
    } catch (const Error& error) {
      throw invalid("config_path", path, error.message());
    }
  }
  return from_toml(Toml(body));
}

// It would be the runtime's, in the middle of a create, and unclear.
void check_systemd() {
  struct stat facts {};
  if (::lstat("/run/systemd/system", &facts) == 0 && S_ISDIR(facts.st_mode)) return;
  throw failed_precondition(
      "SystemdCgroup: true: systemd does not run here; set it to false, as in containerd's own "
      "configuration");
}

// Each type that options come in, and how it is read.
struct Form {
  std::string_view type;
  api::RuncOptions (*read)(std::string_view bytes);
};

api::RuncOptions read_runtime_options(std::string_view bytes) {
  return from_runtime_options(api::decode<api::RuntimeOptions>(bytes));
}

const Form* find_form(std::string_view type) {
  static constexpr Form kForms[] = {
      {api::kRuncOptionsType,
       [](std::string_view bytes) { return api::decode<api::RuncOptions>(bytes); }},
      {api::kCreateOptionsType,
       [](std::string_view bytes) {
         return from_create_options(api::decode<api::RuncCreateOptions>(bytes));
       }},
      {api::kLinuxRuncOptionsType,
       [](std::string_view bytes) {
         return from_linux_options(api::decode<api::LinuxRuncOptions>(bytes));
       }},
      {api::kRuntimeOptionsType, read_runtime_options},
      {api::kCriRuntimeOptionsType, read_runtime_options},
  };
  for (const Form& form : kForms)
    if (form.type == type) return &form;
  return nullptr;
}

}  // namespace

api::RuncOptions runc_options(const api::Any& any) {
  std::string_view type = api::bare_type(any.type_url);
  if (const Form* form = find_form(type)) return form->read(any.value);
  if (!type.empty()) log(Level::kInfo, "options of type " + escaped(type, 100) + " are ignored");
  return {};
}

bool are_runc_options(const api::Any& any) {
  return find_form(api::bare_type(any.type_url)) != nullptr;
}

std::string find_runtime(const api::RuncOptions& options) {
  const char* preset = std::getenv("CTRD_RUNTIME");
  std::string name = options.binary_name;
  if (name.empty() && preset != nullptr) name = preset;
  if (name.empty()) name = kDefaultRuntime;
  auto found = find_program(name);
  if (!found)
    throw Error(Code::kNotFound, "OCI runtime \"" + name + "\" is not there, or not executable",
                Kind::kRuntime)
        .with("runtime", name);
  return std::filesystem::absolute(*found).string();
}

api::Options containerd_options(const api::Any& any, const std::string& ns) {
  api::RuncOptions theirs = runc_options(any);
  if (theirs.systemd_cgroup) check_systemd();
  api::Options options;
  options.binary_name = find_runtime(theirs);
  if (!theirs.root.empty()) {
    if (!theirs.root.starts_with('/')) throw invalid("Root", theirs.root, "not an absolute path");
    options.runtime_root = theirs.root + "/" + ns;
  }
  options.no_pivot_root = theirs.no_pivot_root;
  options.no_new_keyring = theirs.no_new_keyring;
  options.systemd_cgroup = theirs.systemd_cgroup;
  options.io_uid = theirs.io_uid;
  options.io_gid = theirs.io_gid;
  options.wait_for_readers = true;
  options.lifetime = api::Lifetime::kDetached;
  options.instance = random_hex(8);
  return options;
}

}  // namespace ctrd::shim
