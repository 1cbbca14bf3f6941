#include "experiments/training/trained_parts.h"

#include "core/text.h"

namespace rankfold {

TrainedParts parse_trained_parts(const std::string& train, const std::string& rank) {
  TrainedParts parts;
  for (const std::string& word : split(train, ',')) {
    if (trim(word) == "norms") parts.norms = true;
    if (trim(word) == "tt-head") parts.tt_head = true;
  }
  if (const auto number = parse_number<unsigned long>(rank)) parts.tt_rank = *number;
  return parts;
}

}  // namespace rankfold
