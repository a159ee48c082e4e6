// SPDX-License-Identifier: Apache-2.0
// Why something is kept: the shortest path from each root, found backwards, breadth first.
#include <deque>

#include "metadata/collect.h"

namespace ctrd::metadata {

// From one vertex back to roots. A vertex is met in two ways: what a flat lease holds may be on the
// way as long as no label has been followed behind it. Each way once, so any graph is walked in the
// time of its edges.
class PathFinder {
 public:
  explicit PathFinder(const Graph& graph)
      : graph_(graph), met_(2 * graph.vertices_.size()), told_(graph.vertices_.size()) {}

  std::vector<std::vector<std::string>> find(std::size_t to) {
    meet({to, nullptr, 0, false});
    for (std::size_t i = 0; i < steps_.size() && found_.size() < Why::kMostPaths; ++i) {
      const Graph::Vertex& vertex = graph_.vertices_[steps_[i].at];
      if (vertex.root && vertex.is_there) note(i);
      for (const Graph::Edge& edge : vertex.in) step_back(i, edge);
    }
    return std::move(found_);
  }

 private:
  struct Step {
    std::size_t at;           // the vertex
    const Graph::Edge* edge;  // from there to the one of next; null for the last
    std::size_t next;         // in steps_
    bool has_label;           // on the way from there
  };

  void step_back(std::size_t next, const Graph::Edge& edge) {
    if (edge.is_flat && steps_[next].has_label) return;
    if (graph_.vertices_[edge.other].mark == Graph::kNone) return;
    meet({edge.other, &edge, next, steps_[next].has_label || edge.is_label});
  }

  void meet(const Step& step) {
    std::vector<bool>::reference met = met_[2 * step.at + (step.has_label ? 1 : 0)];
    if (met) return;
    met = true;
    steps_.push_back(step);
  }

  void note(std::size_t place) {
    const Graph::Vertex& root = graph_.vertices_[steps_[place].at];
    if (told_[steps_[place].at]) return;
    told_[steps_[place].at] = true;
    std::vector<std::string> path{named(root.object) + *root.root};
    for (const Step* step = &steps_[place]; step->edge; step = &steps_[step->next])
      path.push_back(step->edge->how + named(graph_.vertices_[steps_[step->next].at].object));
    found_.push_back(std::move(path));
  }

  const Graph& graph_;
  std::deque<Step> steps_;  // in the order in which they were met
  std::vector<bool> met_, told_;
  std::vector<std::vector<std::string>> found_;
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
  if (!vertex) return {false, {}, "nothing refers to it"};
  if (vertex->mark == kNone) return {false, {}, hint_for(*vertex)};
  return {true, PathFinder(*this).find(index_.at(path_of(object))), {}};
}

}  // namespace ctrd::metadata
