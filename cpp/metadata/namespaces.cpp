// SPDX-License-Identifier: Apache-2.0
#include "metadata/namespaces.h"

#include <utility>

#include "base/error.h"
#include "base/identifier.h"
#include "base/time.h"
#include "metadata/changes.h"
#include "metadata/labels.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::View;

constexpr std::size_t kShown = 3;  // names of each kind

std::optional<Namespace> find_namespace(const View& view, std::string_view ns) {
  auto bytes = view.find(key_namespace(ns));
  if (!bytes) return std::nullopt;
  return decode_namespace(*bytes);
}

// "containers (a, b, c ...)", "" if there is none.
std::string remaining(const View& view, const std::string& prefix, const char* kind) {
  std::string names;
  std::size_t count = 0;
  view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
    if (count < kShown) names.append(count > 0 ? ", " : "").append(id_of(key));
    return ++count <= kShown;
  });
  if (count == 0) return {};
  return std::string(kind) + " (" + names + (count > kShown ? " ...)" : ")");
}

// What must be gone before its namespace. Images: a row.
void check_empty(const View& view, std::string_view ns) {
  const std::pair<std::string, const char*> kinds[] = {
      {container_prefix(ns), "containers"},
      {snapshot_prefix(ns), "snapshots"},
      {blob_prefix(ns), "content"},
      {checkpoint_prefix(ns), "checkpoints"},
  };
  std::string all;
  for (const auto& [prefix, kind] : kinds) {
    std::string some = remaining(view, prefix, kind);
    if (!some.empty()) all.append(all.empty() ? "" : ", ").append(some);
  }
  if (all.empty()) return;
  throw failed_precondition("namespace \"" + std::string(ns) + "\" must be empty: it has " + all)
      .with("field", "namespace")
      .with("value", std::string(ns));
}

}  // namespace

void Namespaces::create(std::string_view ns, Labels labels, const Wait& wait) {
  check_namespace(ns);
  check_labels(labels);
  drop_empty(labels);
  ledger_->change(wait, [&](Changes& changes) {
    if (find_namespace(changes.view(), ns))
      throw Error(Code::kAlreadyExists, "namespace \"" + std::string(ns) + "\": already exists");
    changes.need_namespace(ns);
    changes.batch().put(key_namespace(ns), encode(Namespace{labels, wall_ns()}));
    changes.publish(ns, api::NamespaceCreate{std::string(ns), event_labels(labels)});
  });
}

std::vector<std::string> Namespaces::list(const Wait& wait) {
  std::vector<std::string> names;
  ledger_->read(wait, [&](const View& view) { names = find_namespaces(view); });
  return names;
}

Labels Namespaces::labels(std::string_view ns, const Wait& wait) {
  check_namespace(ns);
  std::optional<Namespace> found;
  ledger_->read(wait, [&](const View& view) { found = find_namespace(view, ns); });
  return found ? std::move(found->labels) : Labels();
}

Labels Namespaces::update(std::string_view ns, const LabelChange& change, const Wait& wait) {
  check_namespace(ns);
  Namespace now;
  ledger_->change(wait, [&](Changes& changes) {
    changes.need_namespace(ns);
    now = find_namespace(changes.view(), ns).value_or(Namespace{{}, wall_ns()});
    apply_change(change, now.labels);
    check_labels(now.labels);
    drop_empty(now.labels);
    changes.batch().put(key_namespace(ns), encode(now));
    changes.publish(ns, api::NamespaceUpdate{std::string(ns), event_labels(now.labels)});
  });
  return std::move(now.labels);
}

void Namespaces::remove(std::string_view ns, const Wait& wait) {
  check_namespace(ns);
  ledger_->change(wait, [&](Changes& changes) {
    const View& view = changes.view();
    if (!find_namespace(view, ns))
      throw not_found(Kind::kNone, "namespace \"" + std::string(ns) + "\": not found");
    check_empty(view, ns);
    changes.batch().use_reserve();
    view.scan_prefix(std::string(ns) + "/", [&](std::string_view key, std::string_view) {
      changes.batch().erase(std::string(key));
      return true;
    });
    changes.batch().erase(key_namespace(ns));
    changes.publish(ns, api::NamespaceDelete{std::string(ns)});
  });
}

}  // namespace ctrd::metadata
