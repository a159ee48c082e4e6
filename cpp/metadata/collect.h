// SPDX-License-Identifier: Apache-2.0
// The whole garbage of a namespace, as containerd collects it: what is reached from the roots
// stays. Read and marked within one store operation; what only the disk and the processes know
// (mounts, dead owners) is asked before, and given. The same graph says why something is kept.
// Source: semantics.md S8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "metadata/changes.h"
#include "metadata/references.h"

namespace ctrd::metadata {

// What the store does not know.
struct Facts {
  std::set<uint64_t> dead_owners = {};
  std::map<uint64_t, std::string> in_use = {};  // number of a snapshot -> "mounted at ..."
  int64_t now_ns = 0;
};

struct Garbage {
  Object object;
  uint64_t layer = 0;  // of a snapshot: its number
  uint64_t bytes = 0;  // of a blob that no other namespace has
  bool is_end = true;  // of a batch, maybe: what comes behind refers to nothing before
};

// Why an object is kept: the shortest path from each root to it, nearest first, step by step, in
// words.
struct Why {
  bool is_kept = false;
  std::vector<std::vector<std::string>> paths;  // kMostPaths at most
  std::string hint;                             // if there is none: what became of what kept it
  static constexpr std::size_t kMostPaths = 16;
};

class Graph {
 public:
  Graph(const store::View& view, std::string_view ns, const Facts& facts);

  // Snapshots, content and leases that nothing keeps, each before what it refers to.
  std::vector<Garbage> garbage() const;
  // Also of ingests, which have no record: whether a lease holds it.
  bool is_kept(const Object& object) const;
  bool has(const Object& object) const;  // a record of it
  Why explain(const Object& object) const;

 private:
  enum Mark { kNone, kFlat, kFull };  // kFlat: without what its labels name
  struct Edge {
    std::size_t other;
    std::string how;
    bool is_label = false, is_flat = false;
  };
  struct Vertex {
    Object object;
    bool is_there = false;
    std::optional<std::string> root;  // what makes it one, in words; "" for what always is
    std::string ended;                // of a lease that keeps nothing any more
    uint64_t layer = 0, bytes = 0;
    std::optional<std::size_t> parent;
    Mark mark = kNone;
    std::vector<Edge> out, in;
  };

  void read_containers();
  void read_snapshots();
  void read_blobs();
  void read_checkpoints();
  void read_leases();
  void read_held();
  void keep_views();
  void mark();
  std::size_t at(const Object& object);
  Vertex& found(const Object& object, const Labels& labels);
  void add_labels(std::size_t from, const Labels& labels);
  void link(std::size_t from, std::size_t to, const std::string& how, bool is_label = false,
            bool is_flat = false);
  const Vertex* find(const Object& object) const;
  bool passes(const Vertex& from, const Edge& edge) const;
  std::string hint_for(const Vertex& vertex) const;
  bool is_garbage(const Vertex& vertex) const;
  friend class PathFinder;
  friend class SweepOrder;

  const store::View& view_;
  const std::string ns_;
  const Facts& facts_;
  std::vector<Vertex> vertices_;
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<std::size_t> views_;  // that stand upon something
  std::set<std::size_t> flat_leases_;
};

// Removes what Graph calls garbage; most: bytes in a batch, exceeded by one object, or by a ring of
// them that refer to each other. What a batch leaves has all that it refers to, so whoever takes it
// up before the next one finds it whole. Snapshots' directories and blobs' files are trash.
struct Collected {
  std::vector<Garbage> removed;        // in order of kind and key
  std::set<std::string> held_ingests;  // refs
  bool is_all = true;                  // else there is more of it
};
Collected collect(Changes& changes, std::string_view ns, const Facts& facts,
                  std::size_t most = SIZE_MAX);
Collected collectable(const store::View& view, std::string_view ns, const Facts& facts);

}  // namespace ctrd::metadata
