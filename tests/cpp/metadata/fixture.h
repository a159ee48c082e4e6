// SPDX-License-Identifier: Apache-2.0
// A store of a test's own, and all that is in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "metadata/containers.h"
#include "metadata/schema.h"

namespace ctrd::metadata {

struct ContainersTest : testing::Test {
  Container record(const std::string& id) {
    Container value;
    value.id = id;
    value.rootfs = "/srv/root";
    value.snapshotter = "overlay";
    value.runtime_name = "io.containerd.ctrd.v2";
    return value;
  }
  Created create(const std::string& id, const std::string& ns = "default") {
    return containers.create(ns, record(id), "{}", {});
  }
  // Without those of events and namespaces, which are outbox_test's and namespaces_test's.
  std::vector<std::string> keys() {
    std::vector<std::string> all;
    store->read({}, [&](const store::View& view) {
      view.scan("", "\xff", [&](std::string_view key, std::string_view) {
        bool is_others = key.starts_with(outbox_prefix()) || key == key_number("outbox") ||
                         key.starts_with(namespaces_prefix());
        if (!is_others) all.emplace_back(key);
        return true;
      });
    });
    return all;
  }
  void put(const std::string& key, const std::string& value) {
    store->write({}, [&](const store::View&, store::Batch& batch) { batch.put(key, value); });
  }
  void erase(const std::string& key) {
    store->write({}, [&](const store::View&, store::Batch& batch) { batch.erase(key); });
  }

  TempDir temp;
  std::shared_ptr<store::Store> store = store::Store::at(open_dir(temp.path()));
  Containers containers{store};
};

inline std::vector<std::string> ids(const std::vector<Container>& records) {
  std::vector<std::string> all;
  for (const auto& record : records) all.push_back(record.id);
  return all;
}

}  // namespace ctrd::metadata
