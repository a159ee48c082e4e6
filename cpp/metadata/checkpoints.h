// SPDX-License-Identifier: Apache-2.0
// Records of stored checkpoints: a name, what it was made of, and the number of its directory,
// checkpoints/<n>. Pure metadata: the directory is there before the record, and goes after it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/changes.h"
#include "metadata/filter.h"
#include "metadata/ledger.h"
#include "metadata/record.h"
#include "metadata/snapshots.h"

namespace ctrd::metadata {

struct Checkpoint {
  std::string name;                    // 1; not stored in the value: filled from the key
  uint64_t number = 0;                 // 2; checkpoints/<n>; 0: a directory of the user's
  std::string container_id;            // 3; that it was made of
  std::string image;                   // 4
  std::string rootfs;                  // 5; as the container's: the bottom of its layer
  std::string runtime;                 // 6; the OCI runtime's path
  std::string tcp;                     // 7; "refuse", "close", "keep"
  int64_t created_ns = 0;              // 8
  uint64_t size = 0;                   // 9; bytes, images and layer
  Labels labels;                       // 10; its own
  Labels container_labels;             // 11
  std::string kernel;                  // 12; release
  std::string machine;                 // 13; "x86_64"
  std::string images;                  // 14; one line an image file: size, SHA-256 in hex, name
  std::string snapshotter = kOverlay;  // 15; of the container's layer
  std::string base;  // 16; the committed snapshot that the layer stands upon, "" for none
  std::vector<std::string> empty_namespaces;  // 17; as it was told
  Labels extensions;                          // 18; the container's, as what follows
  api::Any runtime_options;                   // 19, 20
  std::string layer;       // 21; SHA-256 in hex of all that its layer is: snapshot/layer_bytes.h
  std::string sandbox_id;  // 22; the container's
};
// Its own labels, without the one that keeps its base, which add() puts.
Labels labels_of(const Checkpoint& record);
std::string encode(const Checkpoint& record);
// Throws kDataLoss.
Checkpoint decode_checkpoint(std::string_view name, std::string_view bytes);

class Checkpoints {
 public:
  explicit Checkpoints(std::shared_ptr<Ledger> ledger) : ledger_(std::move(ledger)) {}

  // A number that nothing else has, for a directory.
  uint64_t new_number(const Wait& wait);
  // Throws kAlreadyExists (kCheckpoint).
  void add(std::string_view ns, Checkpoint record, const Wait& wait);
  std::optional<Checkpoint> find(std::string_view ns, std::string_view name, const Wait& wait);
  Checkpoint get(std::string_view ns, std::string_view name, const Wait& wait);  // kNotFound
  // Ordered by name. Fields of the filter: name, container, image, labels.<key>.
  std::vector<Checkpoint> list(std::string_view ns, const Filter& filter, const Wait& wait);
  // nullopt: there is none. trash: gets what its labels alone kept.
  std::optional<Checkpoint> remove(std::string_view ns, std::string_view name, const Wait& wait,
                                   std::vector<Numbered>* trash = nullptr);
  // Numbers in use, in all namespaces.
  std::vector<uint64_t> numbers(const Wait& wait);
  // Manifests, by digest, of directories of the user's that this root has written: they may be
  // restored without more ado.
  void trust(std::string_view digest, const Wait& wait);
  bool is_trusted(std::string_view digest, const Wait& wait);

 private:
  std::shared_ptr<Ledger> ledger_;
};

}  // namespace ctrd::metadata
