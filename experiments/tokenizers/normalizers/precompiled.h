#pragma once

#include <memory>
#include <string>

#include "experiments/tokenizers/normalizers/normalizer.h"

namespace rankfold {

/// SentencePiece's map of characters (its normalizer_spec.precompiled_charsmap) as
/// huggingface/tokenizers applies it: a cluster of less than six bytes becomes what its shortest
/// known beginning becomes; of others each character does. Throws Error where the bytes are none.
std::unique_ptr<const Normalizer> make_precompiled(const std::string& bytes);

}  // namespace rankfold
