// SPDX-License-Identifier: Apache-2.0
#include "metadata/collect.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "metadata/checkpoints.h"
#include "metadata/fields.h"
#include "metadata/leases.h"
#include "metadata/schema.h"
#include "metadata/snapshot_records.h"
#include "metadata/snapshots.h"

namespace ctrd::metadata {
namespace {

using store::View;

bool may_be_garbage(ObjectKind kind) {
  return kind == ObjectKind::kSnapshot || kind == ObjectKind::kContent ||
         kind == ObjectKind::kLease;
}

// "" while it keeps what it holds, else why it does not.
std::string why_ended(const Lease& lease, const Facts& facts) {
  if (has_expired(lease, facts.now_ns))
    return "expired at " + lease.labels.at(std::string(kExpireLabel));
  if (facts.dead_owners.contains(lease.owner))
    return "was of process " + std::to_string(lease.owner_process.pid) + ", which has ended";
  return {};
}

std::string words_of(const Lease& lease) {
  std::string words;
  if (lease.owner) words = " of living process " + std::to_string(lease.owner_process.pid);
  auto expiry = lease.labels.find(std::string(kExpireLabel));
  if (expiry_of(lease.labels)) words.append(", until ").append(expiry->second);
  return words;
}

bool is_shared(const View& view, std::string_view digest) {
  std::size_t holders = 0;
  view.scan_prefix(blob_holder_prefix(digest),
                   [&](std::string_view, std::string_view) { return ++holders < 2; });
  return holders > 1;
}

}  // namespace

Graph::Graph(const View& view, std::string_view ns, const Facts& facts)
    : view_(view), ns_(ns), facts_(facts) {
  read_containers();
  read_snapshots();
  read_blobs();
  read_checkpoints();
  read_leases();
  read_held();
  keep_views();
  mark();
}

std::size_t Graph::at(const Object& object) {
  auto [place, is_new] = index_.try_emplace(path_of(object), vertices_.size());
  if (is_new) vertices_.emplace_back().object = object;
  return place->second;
}

Graph::Vertex& Graph::found(const Object& object, const Labels& labels) {
  const std::size_t place = at(object);
  vertices_[place].is_there = true;
  add_labels(place, labels);
  if (labels.contains(std::string(kRootLabel)))
    vertices_[place].root = ", by its label " + std::string(kRootLabel);
  return vertices_[place];
}

void Graph::link(std::size_t from, std::size_t to, const std::string& how, bool is_label,
                 bool is_flat) {
  vertices_[from].out.push_back({to, how, is_label, is_flat});
  vertices_[to].in.push_back({from, how, is_label, is_flat});
}

void Graph::add_labels(std::size_t from, const Labels& labels) {
  for (const LabelRef& ref : label_refs(labels)) {
    const std::size_t other = at(ref.object);
    if (ref.is_back)
      link(other, from, "by its own label " + ref.label + ": ", true);
    else
      link(from, other, "by the label " + ref.label + ": ", true);
  }
}

void Graph::read_containers() {
  view_.scan_prefix(container_prefix(ns_), [&](std::string_view key, std::string_view bytes) {
    const Container record = decode_container(id_of(key), bytes);
    const Object object{ObjectKind::kContainer, record.id};
    found(object, record.labels).root = "";
    if (!record.snapshot_key.empty())
      link(at(object), at({ObjectKind::kSnapshot, record.snapshot_key, record.snapshotter}),
           "its layer: ");
    return true;
  });
}

void Graph::read_snapshots() {
  const std::string prefix = snapshot_prefix(ns_);
  view_.scan_prefix(prefix, [&](std::string_view key, std::string_view bytes) {
    auto object = object_at("snap/" + std::string(key.substr(prefix.size())));
    if (!object) throw damaged("key", key);
    const Snapshot record = decode_snapshot(bytes);
    Vertex& vertex = found(*object, record.labels);
    vertex.layer = record.number;
    auto use = facts_.in_use.find(record.number);
    if (use != facts_.in_use.end()) vertex.root = ", " + use->second;
    if (record.parent.empty()) return true;
    const std::size_t place = at(*object);
    const std::size_t parent = at({ObjectKind::kSnapshot, record.parent, object->snapshotter});
    vertices_[place].parent = parent;
    link(place, parent, "its parent: ");
    if (record.kind == kView) views_.push_back(place);
    return true;
  });
}

// A view upon something has no directory of its own: what it stands upon is mounted.
void Graph::keep_views() {
  for (std::size_t place : views_) {
    Vertex& view = vertices_[place];
    auto use = facts_.in_use.find(vertices_[*view.parent].layer);
    if (use != facts_.in_use.end() && !view.root) view.root = ", what it shows is " + use->second;
  }
}

void Graph::read_blobs() {
  view_.scan_prefix(blob_prefix(ns_), [&](std::string_view key, std::string_view bytes) {
    const Blob record = decode_blob(id_of(key), bytes);
    Vertex& vertex = found({ObjectKind::kContent, record.digest}, record.labels);
    vertex.bytes = record.size;
    return true;
  });
}

void Graph::read_checkpoints() {
  view_.scan_prefix(checkpoint_prefix(ns_), [&](std::string_view key, std::string_view bytes) {
    const Checkpoint record = decode_checkpoint(id_of(key), bytes);
    found({ObjectKind::kCheckpoint, record.name}, record.labels).root = "";
    return true;
  });
}

void Graph::read_leases() {
  const std::string prefix = lease_prefix(ns_);
  view_.scan_prefix(prefix, [&](std::string_view key, std::string_view bytes) {
    const Lease record = decode_lease(unescaped_key(key.substr(prefix.size())), bytes);
    const std::size_t place = at({ObjectKind::kLease, record.id});
    Vertex& vertex = vertices_[place];
    vertex.is_there = true;
    vertex.ended = why_ended(record, facts_);
    if (vertex.ended.empty()) vertex.root = words_of(record);
    if (record.labels.contains(std::string(kFlatLabel))) flat_leases_.insert(place);
    return true;
  });
}

void Graph::read_held() {
  const std::string prefix = ns_ + "/held/";
  view_.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
    std::string_view rest = key.substr(prefix.size());
    const std::size_t slash = rest.find('/');
    auto object = object_at(rest.substr(std::min(slash, rest.size() - 1) + 1));
    if (!object) throw damaged("key", key);
    const std::size_t lease = at({ObjectKind::kLease, unescaped_key(rest.substr(0, slash))});
    link(lease, at(*object), "holds ", false, flat_leases_.contains(lease));
    return true;
  });
}

bool Graph::passes(const Vertex& from, const Edge& edge) const {
  return from.mark == kFull || (from.mark == kFlat && !edge.is_label);
}

void Graph::mark() {
  std::vector<std::pair<std::size_t, Mark>> gray;
  for (std::size_t i = 0; i < vertices_.size(); ++i)
    if (vertices_[i].root && vertices_[i].is_there) gray.emplace_back(i, kFull);
  while (!gray.empty()) {
    auto [place, level] = gray.back();
    gray.pop_back();
    Vertex& vertex = vertices_[place];
    if (vertex.mark >= level) continue;
    vertex.mark = level;
    for (const Edge& edge : vertex.out)
      if (passes(vertex, edge)) gray.emplace_back(edge.other, edge.is_flat ? kFlat : level);
  }
}

const Graph::Vertex* Graph::find(const Object& object) const {
  auto place = index_.find(path_of(object));
  return place == index_.end() ? nullptr : &vertices_[place->second];
}

bool Graph::is_kept(const Object& object) const {
  const Vertex* vertex = find(object);
  return vertex && vertex->mark != kNone;
}

bool Graph::has(const Object& object) const {
  const Vertex* vertex = find(object);
  return vertex && vertex->is_there;
}

bool Graph::is_garbage(const Vertex& vertex) const {
  return vertex.mark == kNone && vertex.is_there && may_be_garbage(vertex.object.kind);
}

// Garbage in the order in which it goes: depth first, backwards.
class SweepOrder {
 public:
  explicit SweepOrder(const Graph& graph) : graph_(graph), seen_(graph.vertices_.size()) {
    for (std::size_t i = 0; i < seen_.size(); ++i) visit(i);
    std::ranges::reverse(order_);
  }

  void each(const std::function<void(const Graph::Vertex&, bool is_end)>& f) const {
    std::vector<bool> taken(seen_.size());
    std::size_t open = 0;  // references from what is not taken to what is
    for (std::size_t place : order_) {
      const Graph::Vertex& vertex = graph_.vertices_[place];
      for (const Graph::Edge& edge : vertex.in)
        open += edge.other != place && is_garbage(edge.other) && !taken[edge.other];
      for (const Graph::Edge& edge : vertex.out) open -= edge.other != place && taken[edge.other];
      taken[place] = true;
      f(vertex, open == 0);
    }
  }

 private:
  struct Step {
    std::size_t place, next;  // which of its references is looked at next
  };

  bool is_garbage(std::size_t place) const { return graph_.is_garbage(graph_.vertices_[place]); }

  void enter(std::size_t place, std::vector<Step>& path) {
    if (seen_[place] || !is_garbage(place)) return;
    seen_[place] = true;
    path.push_back({place, 0});
  }

  void visit(std::size_t start) {
    std::vector<Step> path;
    enter(start, path);
    while (!path.empty()) {
      auto& [place, next] = path.back();
      const auto& out = graph_.vertices_[place].out;
      if (next < out.size()) {
        enter(out[next++].other, path);
      } else {
        order_.push_back(place);
        path.pop_back();
      }
    }
  }

  const Graph& graph_;
  std::vector<bool> seen_;
  std::vector<std::size_t> order_;
};

std::vector<Garbage> Graph::garbage() const {
  std::vector<Garbage> all;
  SweepOrder(*this).each([&](const Vertex& vertex, bool is_end) {
    const bool frees = vertex.bytes > 0 && !is_shared(view_, vertex.object.key);
    all.push_back({vertex.object, vertex.layer, frees ? vertex.bytes : 0, is_end});
  });
  return all;
}

namespace {

std::set<std::string> held_ingests(const View& view, std::string_view ns, const Graph& graph) {
  std::set<std::string> held;
  const std::string prefix = std::string(ns) + "/ref/ingest/";
  view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
    key.remove_prefix(prefix.size());
    Object object{ObjectKind::kIngest, unescaped_key(key.substr(0, key.find('/')))};
    if (graph.is_kept(object)) held.insert(object.key);
    return true;
  });
  return held;
}

void remove(Changes& changes, std::string_view ns, const Object& object) {
  const std::string bytes = changes.view().find(record_key(ns, object)).value_or("");
  if (object.kind == ObjectKind::kSnapshot)
    remove_snapshot_record(changes, {ns, object.snapshotter, object.key}, decode_snapshot(bytes));
  else if (object.kind == ObjectKind::kContent)
    remove_blob_record(changes, ns, decode_blob(object.key, bytes));
  else
    erase_lease(changes, ns, decode_lease(object.key, bytes));
}

// How large a batch has become.
class Size {
 public:
  explicit Size(const store::Batch& batch) : batch_(batch) {}
  std::size_t bytes() {
    for (const auto& changes = batch_.changes(); counted_ < changes.size(); ++counted_)
      bytes_ += changes[counted_].first.size() + changes[counted_].second.value_or("").size();
    return bytes_;
  }

 private:
  const store::Batch& batch_;
  std::size_t counted_ = 0, bytes_ = 0;
};

}  // namespace

Collected collectable(const View& view, std::string_view ns, const Facts& facts) {
  const Graph graph(view, ns, facts);
  Collected found{graph.garbage(), held_ingests(view, ns, graph)};
  std::ranges::sort(found.removed, {}, &Garbage::object);
  return found;
}

Collected collect(Changes& changes, std::string_view ns, const Facts& facts, std::size_t most) {
  const Graph graph(changes.view(), ns, facts);
  Collected found{graph.garbage(), held_ingests(changes.view(), ns, graph)};
  changes.batch().use_reserve();
  Size size(changes.batch());
  std::size_t done = 0;
  for (bool is_full = false; done < found.removed.size() && !is_full; ++done) {
    remove(changes, ns, found.removed[done].object);
    is_full = size.bytes() >= most && found.removed[done].is_end;
  }
  found.is_all = done == found.removed.size();
  found.removed.resize(done);
  std::ranges::sort(found.removed, {}, &Garbage::object);
  return found;
}

}  // namespace ctrd::metadata
