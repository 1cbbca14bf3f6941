#include "experiments/models/trained_parts.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/network/stack.h"

namespace rankfold {

std::size_t tensor_train_head_rank(const std::string& rank) {
  constexpr std::size_t without_rank = 5;
  return parse_number<unsigned long>(rank).value_or(without_rank);
}

std::string all_trained_parts(const std::string& train, const Method& method) {
  const std::string& own = method.trained_part;
  if (own.empty()) return train;
  if (trim(train).empty()) return own;
  for (const std::string& word : split(train, ','))
    if (trim(word) == own || (trim(word) == "norms" && own == "norm-shifts")) return train;
  return train + "," + own;
}

TrainedParts parse_trained_parts(const std::string& train, const std::string& rank) {
  TrainedParts parts;
  for (const std::string& word : split(train, ',')) {
    if (trim(word) == "norms") parts.norms = true;
    if (trim(word) == "norm-shifts") parts.norm_shifts = true;
    if (trim(word) == "tt-head") parts.tt_head = true;
  }
  parts.tt_rank = tensor_train_head_rank(rank);
  return parts;
}

}  // namespace rankfold
