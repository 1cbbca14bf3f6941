#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/models/byte_pairs.h"
#include "experiments/tokenizers/models/unigram.h"
#include "experiments/tokenizers/normalizers/precompiled.h"
#include "experiments/tokenizers/sentencepiece_model.h"
#include "experiments/tokenizers/token_pipeline.h"
#include "experiments/tokenizers/unicode.h"
#include "experiments/tokenizers/written_tokenizer.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;
using Algorithm = SentencePieceModel::Algorithm;
using PieceType = SentencePieceModel::Type;
using Normalizers = std::vector<std::unique_ptr<const Normalizer>>;

constexpr std::array<const char*, 4> model_files = {"tokenizer.model", "spiece.model", "spm.model",
                                                    "sentencepiece.bpe.model"};

fs::path find_model(const fs::path& folder) {
  std::error_code failure;
  for (const char* name : model_files)
    if (fs::exists(folder / name, failure)) return folder / name;
  throw Error(
      "{}: found no SentencePiece model, expected tokenizer.model, spiece.model, spm.model "
      "or sentencepiece.bpe.model",
      printable(folder.string()));
}

SentencePieceModel read_model(const fs::path& file, Algorithm algorithm, const char* named,
                              const TokenizerConfig& config) {
  SentencePieceModel model = read_sentencepiece(file);
  if (model.algorithm != algorithm)
    throw Error("{}: found model_type {}, expected {} ({}) as {} has it", printable(file.string()),
                static_cast<int>(model.algorithm), static_cast<int>(algorithm), named,
                config.class_name);
  if (!model.adds_dummy_prefix || !model.escapes_whitespace)
    throw Error("{}: normalizer_spec.{} is false, expected true", printable(file.string()),
                model.adds_dummy_prefix ? "escape_whitespaces" : "add_dummy_prefix");
  if (config.adds_prefix_space.has_value() && !*config.adds_prefix_space)
    throw Error(
        "{}: key 'add_prefix_space': found false, expected true: SentencePiece's models are "
        "read with a space before the text",
        printable((config.folder / "tokenizer_config.json").string()));
  return model;
}

/// Two pieces merge where they are one together; the score of that piece is their place.
std::vector<BytePairs::Merge> find_merges(const SentencePieceModel& model, const fs::path& file) {
  Vocabulary mergeable;
  std::vector<float> scores;
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const SentencePieceModel::Piece& piece = model.pieces[i];
    if (piece.type == PieceType::user_defined || piece.type == PieceType::unused)
      throw Error(
          "{}: piece {} ('{}'): found type {}, expected none that is user-defined or unused",
          printable(file.string()), i, printable(piece.text, 80), static_cast<int>(piece.type));
    if (piece.type != PieceType::normal) continue;
    mergeable.insert(piece.text, static_cast<std::int32_t>(i));
    scores.push_back(piece.score);
  }
  std::ranges::sort(scores, std::greater<>());
  std::vector<BytePairs::Merge> merges;
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    if (piece.type != PieceType::normal) continue;
    const auto rank = static_cast<std::uint32_t>(
        std::ranges::lower_bound(scores, piece.score, std::greater<>()) - scores.begin());
    for (std::size_t i = 0; i < piece.text.size();) {
      decode_next(piece.text, i);
      const std::string left = piece.text.substr(0, i), right = piece.text.substr(i);
      if (mergeable.find(left) && mergeable.find(right)) merges.push_back({left, right, rank});
    }
  }
  return merges;
}

Vocabulary vocabulary_of(const std::vector<std::pair<std::string, double>>& tokens,
                         const fs::path& file) {
  Vocabulary vocabulary;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (!vocabulary.insert(tokens[i].first, static_cast<std::int32_t>(i)))
      throw Error("{}: found '{}' again among the pieces, expected each token once",
                  printable(file.string()), printable(tokens[i].first, 80));
  vocabulary.seal();
  return vocabulary;
}

std::unique_ptr<const WordModel> make_unigram(
    const std::vector<std::pair<std::string, double>>& tokens, std::int32_t unknown_id,
    const fs::path& file) {
  std::vector<double> scores;
  for (const auto& [token, score] : tokens) {
    if (!std::isfinite(score))
      throw Error("{}: piece '{}': found the score {}, expected a finite number",
                  printable(file.string()), printable(token, 80), score);
    scores.push_back(score);
  }
  return std::make_unique<Unigram>(vocabulary_of(tokens, file), std::move(scores), unknown_id,
                                   false);
}

/// A tokenizer of parts that are written as in tokenizer.json, an array of normalizers and one
/// splitter; the model's own character map comes behind `mapped` of the normalizers.
WrittenTokenizer assemble(const fs::path& file, const SentencePieceModel& model,
                          const json& normalizers, std::size_t mapped, const json& splitter,
                          std::unique_ptr<const WordModel> words) {
  WrittenTokenizer written;
  written.file = file;
  Normalizers steps;
  for (std::size_t i = 0; i <= normalizers.size(); ++i) {
    if (i == mapped && !model.character_map.empty()) {
      try {
        steps.push_back(make_precompiled(model.character_map));
      } catch (const Error& error) {
        throw Error("{}: normalizer_spec.precompiled_charsmap: {}, expected a character map",
                    printable(file.string()), error.what());
      }
    }
    if (i < normalizers.size()) steps.push_back(read_normalizer(JsonField(normalizers[i], file)));
  }
  written.pipeline = std::make_unique<TokenPipeline>(
      make_normalizer_sequence(std::move(steps)),
      splitter.is_null() ? nullptr : read_splitter(JsonField(splitter, file)), std::move(words));
  return written;
}

json replace_text(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

/// Runs of spaces are one.
json single_spaces() {
  return {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}};
}

json metaspace(const char* scheme, bool splits) {
  return {{"type", "Metaspace"},
          {"replacement", "\u2581"},
          {"prepend_scheme", scheme},
          {"split", splits}};
}

json white_space_and_metaspace() {
  return {{"type", "Sequence"},
          {"pretokenizers", {{{"type", "WhitespaceSplit"}}, metaspace("always", true)}}};
}

void set_decoder(WrittenTokenizer& written, const json& decoder) {
  written.decoder = read_decoder(JsonField(decoder, written.file));
}

std::vector<std::pair<std::string, double>> scored_pieces(const SentencePieceModel& model) {
  std::vector<std::pair<std::string, double>> tokens;
  for (const SentencePieceModel::Piece& piece : model.pieces)
    tokens.emplace_back(piece.text, double{piece.score});
  return tokens;
}

}  // namespace

WrittenTokenizer build_llama(const fs::path& folder, const TokenizerConfig& config) {
  const fs::path file = find_model(folder);
  const SentencePieceModel model = read_model(file, Algorithm::bpe, "BPE", config);
  if (model.removes_extra_whitespace)
    throw Error(
        "{}: normalizer_spec.remove_extra_whitespaces is true, expected false as Llama has "
        "it",
        printable(file.string()));
  BytePairOptions options;
  options.unknown_token = model.pieces[static_cast<std::size_t>(model.unknown_id)].text;
  options.fuses_unknown = true;
  options.byte_fallback = model.byte_fallback;
  auto words = std::make_unique<BytePairs>(vocabulary_of(scored_pieces(model), file),
                                           find_merges(model, file), std::move(options));
  const bool legacy = config.legacy.value_or(true);
  json normalizers = json::array();
  if (legacy)
    normalizers = {{{"type", "Prepend"}, {"prepend", "\u2581"}}, replace_text(" ", "\u2581")};
  WrittenTokenizer written = assemble(
      file, model, normalizers, 0, legacy ? json() : metaspace("first", false), std::move(words));
  set_decoder(written, {{"type", "Sequence"},
                        {"decoders",
                         {replace_text("\u2581", " "),
                          {{"type", "ByteFallback"}},
                          {{"type", "Fuse"}},
                          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}});
  written.enclosing = WrittenTokenizer::Enclosing::begin_and_end;
  written.adds_begin = config.adds_begin.value_or(true);
  written.adds_end = config.adds_end.value_or(false);
  return written;
}

WrittenTokenizer build_albert(const fs::path& folder, const TokenizerConfig& config) {
  const fs::path file = find_model(folder);
  const SentencePieceModel model = read_model(file, Algorithm::unigram, "unigram", config);
  auto tokens = scored_pieces(model);
  // A comma behind a digit is a piece of its own.
  for (auto& [token, score] : tokens)
    if (token.size() > 1 && token.back() == ',' && token[token.size() - 2] >= '0' &&
        token[token.size() - 2] <= '9')
      score -= 100;
  json normalizers = {replace_text("``", "\""), replace_text("''", "\"")};
  if (!config.keeps_accents.value_or(false)) {
    normalizers.push_back({{"type", "NFKD"}});
    normalizers.push_back({{"type", "StripAccents"}});
  }
  if (config.lowercase.value_or(true)) normalizers.push_back({{"type", "Lowercase"}});
  WrittenTokenizer written =
      assemble(file, model, normalizers, normalizers.size(), white_space_and_metaspace(),
               make_unigram(tokens, model.unknown_id, file));
  set_decoder(written, metaspace("always", true));
  written.enclosing = WrittenTokenizer::Enclosing::bert;
  return written;
}

WrittenTokenizer build_deberta_v2(const fs::path& folder, const TokenizerConfig& config) {
  const fs::path file = find_model(folder);
  const SentencePieceModel model = read_model(file, Algorithm::unigram, "unigram", config);
  json normalizers = json::array();
  if (config.lowercase.value_or(false)) normalizers.push_back({{"type", "Lowercase"}});
  normalizers.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
  const std::size_t mapped = normalizers.size();
  normalizers.push_back(single_spaces());
  json splitters = json::array();
  if (config.splits_at_punctuation.value_or(false))
    splitters.push_back({{"type", "Punctuation"}, {"behavior", "Isolated"}});
  splitters.push_back(metaspace("always", true));
  WrittenTokenizer written =
      assemble(file, model, normalizers, mapped,
               {{"type", "Sequence"}, {"pretokenizers", std::move(splitters)}},
               make_unigram(scored_pieces(model), model.unknown_id, file));
  set_decoder(written, metaspace("always", true));
  written.enclosing = WrittenTokenizer::Enclosing::bert;
  return written;
}

WrittenTokenizer build_xlm_roberta(const fs::path& folder, const TokenizerConfig& config) {
  const fs::path file = find_model(folder);
  const SentencePieceModel model = read_model(file, Algorithm::unigram, "unigram", config);
  // fairseq's ids: its own four before the pieces, of which the first three are left out.
  std::vector<std::pair<std::string, double>> tokens = {
      {"<s>", 0.0}, {"<pad>", 0.0}, {"</s>", 0.0}, {"<unk>", 0.0}};
  const auto pieces = scored_pieces(model);
  if (pieces.size() < 3)
    throw Error("{}: found {} pieces, expected more than the special ones",
                printable(file.string()), pieces.size());
  tokens.insert(tokens.end(), pieces.begin() + 3, pieces.end());
  tokens.emplace_back("<mask>", 0.0);
  WrittenTokenizer written = assemble(file, model, json::array(), 0, white_space_and_metaspace(),
                                      make_unigram(tokens, 3, file));
  set_decoder(written, metaspace("always", true));
  written.enclosing = WrittenTokenizer::Enclosing::roberta;
  return written;
}

}  // namespace rankfold
