#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/safetensors.h"

namespace rankfold {

/// Tensors that a host reads in the place of its checkpoint's, frozen like those: an adapter's
/// folder may hold norms or embeddings that were trained beside the adapter. Names are the
/// checkpoint's, with or without the model's own part ("bert.").
class ReplacedTensors {
 public:
  /// `source` is the file that they are of, for messages.
  explicit ReplacedTensors(std::string source) : source_(std::move(source)) {}

  struct Tensor {
    TensorEntry entry;          ///< name and shape; of float32
    std::vector<float> values;  ///< finite
    std::string read_as = {};   ///< the full name that a host has read it by; "" until then
  };

  /// Throws Error where a tensor of that name is there.
  void add(const std::string& name, const std::vector<std::size_t>& shape,
           std::vector<float> values);
  /// They are those of a model that trained as a whole: a tied output layer is its embedding's.
  void keep_ties() { keeps_ties_ = true; }
  bool keeps_ties() const { return keeps_ties_; }
  const std::string& source() const { return source_; }
  bool empty() const { return tensors_.empty(); }
  /// The tensor that a host reads as `full`, which may be there without `prefix`; or null.
  const Tensor* read(std::string_view full, std::string_view prefix);
  /// By their names in the file.
  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }
  /// Throws Error naming one that no host has read.
  void expect_all_read(const std::string& model) const;

 private:
  std::string source_;
  bool keeps_ties_ = false;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace rankfold
