#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/models/blocks/decoder_pass.h"
#include "experiments/models/host.h"

namespace rankfold {

/// What a decoder reads of the batch at hand beside its tokens; its memory is kept over steps.
class DecoderRows {
 public:
  /// A pass over the batch, before whose first tokens lie `learned` keys. It refers to this object
  /// and to the batch.
  DecoderPass start(const Batch& batch, std::size_t learned = 0);
  /// The same, whose sequence s goes on sequence cached[s] of the cache; they rise.
  DecoderPass start(const Batch& batch, std::span<const std::size_t> cached, KeyValueCache& cache);
  std::size_t longest() const { return longest_; }  ///< sequence, with what the cache has

  /// Finds the tokens whose next one has a label; one may be there for several.
  void find_labels(const Batch& batch);
  std::span<const std::size_t> labelled() const { return labelled_; }
  std::span<const std::int32_t> labels() const { return labels_; }  ///< one a labelled row
  /// The first of the labelled rows of each answer (see Batch), and the end.
  std::span<const std::size_t> answers() const { return answers_; }

 private:
  /// `before(s)` tokens lie before sequence s.
  template <class Before>
  DecoderPass start_after(const Batch& batch, const Before& before);

  std::vector<std::size_t> counting_;  ///< 0, 1, 2, ...
  std::vector<std::size_t> positions_, lasts_, last_positions_, labelled_, answers_;
  std::vector<std::int32_t> labels_;
  std::vector<std::size_t> key_starts_, cached_queries_, cached_lasts_;
  std::size_t longest_ = 0;
};

/// Throws Error naming the model unless sequence s of the batch has room in sequence cached[s] of
/// the cache, of which there is one for each and which rise; behind virtual tokens, where it is the
/// first.
void check_cached(const Batch& batch, std::span<const std::size_t> cached,
                  const KeyValueCache& cache, std::size_t virtual_tokens, const std::string& model);

/// Batches of a classifier without the padding tokens at the ends of their texts: the class of a
/// text is told from its last token that is no padding, and causal attention passes over what
/// follows.
class PaddingCut {
 public:
  /// `padding` is below 0 where a model has none.
  explicit PaddingCut(std::int32_t padding) : padding_(padding) {}
  /// The batch itself where no text ends with padding, else a copy that is valid until the next
  /// call. Of a text that is nothing else, the first token stays.
  const Batch& of(const Batch& batch);

 private:
  std::size_t end(const Batch& batch, std::size_t sequence) const;

  std::int32_t padding_;
  Batch cut_;
  std::vector<float> features_;
};

}  // namespace rankfold
