#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace rankfold {

/// What a SentencePiece .model says (Kudo and Richardson, 2018).
struct SentencePieceModel {
  enum class Algorithm { unigram = 1, bpe = 2, word = 3, character = 4 };
  enum class Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score;
    Type type;
  };
  std::vector<Piece> pieces;
  Algorithm algorithm = Algorithm::unigram;
  std::int32_t unknown_id = 0;
  bool byte_fallback = false;
  bool adds_dummy_prefix = true, removes_extra_whitespace = true, escapes_whitespace = true;
  std::string character_map;  ///< empty: none
};

/// Throws Error naming the file: for what is no such model, and what it asks for that is not read
/// here (white space as a suffix, pieces that are no UTF-8 or repeated).
SentencePieceModel read_sentencepiece(const std::filesystem::path& file);

}  // namespace rankfold
