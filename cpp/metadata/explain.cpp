// SPDX-License-Identifier: Apache-2.0
// Why something is kept: paths from the roots, found backwards in the marked graph.
#include <algorithm>

#include "metadata/collect.h"

namespace ctrd::metadata {

// From one vertex back to roots. Each path passes a vertex once.
class PathFinder {
 public:
  explicit PathFinder(const Graph& graph) : graph_(graph) {}

  std::vector<std::vector<std::string>> find(std::size_t to) {
    step_back(to);
    return std::move(found_);
  }

 private:
  static constexpr std::size_t kMostSteps = 100'000;

  bool is_enough() const { return found_.size() >= Why::kMostPaths || steps_ > kMostSteps; }

  void step_back(std::size_t at) {
    const Graph::Vertex& vertex = graph_.vertices_[at];
    ++steps_;
    if (vertex.root && vertex.is_there) note(vertex);
    on_path_.push_back(at);
    for (const Graph::Edge& edge : vertex.in) {
      if (is_enough()) break;
      const Graph::Vertex& from = graph_.vertices_[edge.other];
      const bool is_ring = std::ranges::find(on_path_, edge.other) != on_path_.end();
      if (is_ring || !graph_.passes(from, edge)) continue;
      words_.push_back(edge.how + named(vertex.object));
      step_back(edge.other);
      words_.pop_back();
    }
    on_path_.pop_back();
  }

  void note(const Graph::Vertex& root) {
    std::vector<std::string> path{named(root.object) + *root.root};
    path.insert(path.end(), words_.rbegin(), words_.rend());
    found_.push_back(std::move(path));
  }

  const Graph& graph_;
  std::vector<std::size_t> on_path_;
  std::vector<std::string> words_;
  std::vector<std::vector<std::string>> found_;
  std::size_t steps_ = 0;
};

std::string Graph::hint_for(const Vertex& vertex) const {
  constexpr std::size_t kShown = 3;
  if (!vertex.ended.empty()) return "it " + vertex.ended;
  std::string words;
  std::size_t shown = 0;
  for (const Edge& edge : vertex.in) {
    const Vertex& from = vertices_[edge.other];
    if (!from.is_there || shown++ == kShown) continue;
    words.append(words.empty() ? "" : "; ").append(named(from.object));
    words.append(from.ended.empty() ? " refers to it, and is kept by nothing either"
                                    : " held it, and " + from.ended);
  }
  return words.empty() ? "nothing refers to it" : words;
}

Why Graph::explain(const Object& object) const {
  const Vertex* vertex = find(object);
  if (!vertex) return {{}, "nothing refers to it"};
  if (vertex->mark == kNone) return {{}, hint_for(*vertex)};
  return {PathFinder(*this).find(index_.at(path_of(object))), {}};
}

}  // namespace ctrd::metadata
