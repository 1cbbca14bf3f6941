#include "experiments/tokenizers/sentencepiece_model.h"

#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "experiments/tokenizers/sentencepiece.pb.h"
#include "experiments/tokenizers/token_part.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

/// Every place of a text is compared with pieces up to their length.
constexpr std::size_t longest_piece = 1000;

}  // namespace

SentencePieceModel read_sentencepiece(const std::filesystem::path& file) {
  const std::string shown = printable(file.string());
  std::error_code failure;
  const auto size = std::filesystem::file_size(file, failure);
  if (!failure && size > longest_text)
    throw Error("{}: found {} bytes, expected at most {}", shown, size, longest_text);
  SentencePieceProto proto;
  if (!proto.ParseFromString(read_text(file)) || proto.pieces().empty())
    throw Error("{}: found no pieces, expected a model of SentencePiece", shown);
  if (proto.trainer_spec().treat_whitespace_as_suffix())
    throw Error(
        "{}: trainer_spec.treat_whitespace_as_suffix is true, expected false: spaces behind "
        "words are not read here",
        shown);
  SentencePieceModel model;
  std::set<std::string_view> seen;
  for (const SentencePieceProto::Piece& piece : proto.pieces()) {
    const std::string& text = piece.piece();
    const std::size_t number = model.pieces.size();
    if (text.empty() || text.size() > longest_piece || !is_valid_utf8(text))
      throw Error("{}: piece {}: found '{}', expected 1 to {} bytes of UTF-8", shown, number,
                  printable(text, 80), longest_piece);
    if (!seen.insert(text).second)
      throw Error("{}: piece {}: found '{}' again, expected each piece once", shown, number,
                  printable(text, 80));
    if (piece.type() < 1 || piece.type() > 6)
      throw Error("{}: piece {}: found type {}, expected 1 to 6", shown, number, piece.type());
    model.pieces.push_back(
        {text, piece.score(), static_cast<SentencePieceModel::Type>(piece.type())});
  }
  const std::int32_t algorithm = proto.trainer_spec().model_type();
  if (algorithm < 1 || algorithm > 4)
    throw Error("{}: found model_type {}, expected 1 to 4", shown, algorithm);
  model.algorithm = static_cast<SentencePieceModel::Algorithm>(algorithm);
  model.unknown_id = proto.trainer_spec().unk_id();
  if (model.unknown_id < 0 || model.unknown_id >= proto.pieces_size())
    throw Error("{}: found unk_id {}, expected the number of a piece, below {}", shown,
                model.unknown_id, proto.pieces_size());
  model.byte_fallback = proto.trainer_spec().byte_fallback();
  model.adds_dummy_prefix = proto.normalizer_spec().add_dummy_prefix();
  model.removes_extra_whitespace = proto.normalizer_spec().remove_extra_whitespaces();
  model.escapes_whitespace = proto.normalizer_spec().escape_whitespaces();
  model.character_map = proto.normalizer_spec().precompiled_charsmap();
  return model;
}

}  // namespace rankfold
