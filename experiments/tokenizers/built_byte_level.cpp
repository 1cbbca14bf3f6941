#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_reader.h"
#include "core/base/text.h"
#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/models/byte_pairs.h"
#include "experiments/tokenizers/token_pipeline.h"
#include "experiments/tokenizers/unicode.h"
#include "experiments/tokenizers/written_tokenizer.h"

namespace rankfold {
namespace {

using nlohmann::json;

/// Qwen2's (Yang et al., 2024): contractions, words with what stands before them, digits by
/// themselves, other characters with the line ends behind them, line ends, white space.
constexpr const char* qwen2_expression =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// merges.txt: two tokens a line, after a line with its version.
std::vector<BytePairs::Merge> read_merges(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  std::vector<BytePairs::Merge> merges;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const std::size_t blank = line.find(' ');
    if (blank == line.npos || line.find(' ', blank + 1) != line.npos || !is_valid_utf8(line))
      throw Error("{}: line {}: found '{}', expected two tokens with a space between them",
                  printable(file.string()), number, printable(line, 80));
    merges.push_back({std::string(line.substr(0, blank)), std::string(line.substr(blank + 1)),
                      static_cast<std::uint32_t>(merges.size())});
  }
  return merges;
}

WrittenTokenizer build_byte_level(const std::filesystem::path& folder, const json& normalizer,
                                  const json& splitter) {
  WrittenTokenizer written;
  written.file = folder / "vocab.json";
  const std::filesystem::path merges_file = folder / "merges.txt";
  const json document = read_json(written.file, tokenizer_limits);
  Vocabulary vocabulary = read_vocabulary_object(JsonField(document, written.file));
  const std::vector<BytePairs::Merge> merges = read_merges(merges_file);
  std::unique_ptr<const WordModel> model;
  try {
    model = std::make_unique<BytePairs>(std::move(vocabulary), merges, BytePairOptions{});
  } catch (const Error& error) {
    throw Error("{}: {}", printable(merges_file.string()), error.what());
  }
  const json decoder = {{"type", "ByteLevel"}};
  written.decoder = read_decoder(JsonField(decoder, written.file));
  written.pipeline = std::make_unique<TokenPipeline>(
      normalizer.is_null() ? nullptr : read_normalizer(JsonField(normalizer, written.file)),
      read_splitter(JsonField(splitter, written.file)), std::move(model));
  return written;
}

json byte_level(const TokenizerConfig& config, bool splits) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", config.adds_prefix_space.value_or(false)},
          {"use_regex", splits}};
}

}  // namespace

WrittenTokenizer build_gpt2(const std::filesystem::path& folder, const TokenizerConfig& config) {
  WrittenTokenizer written = build_byte_level(folder, nullptr, byte_level(config, true));
  written.enclosing = WrittenTokenizer::Enclosing::begin_and_end;
  written.adds_begin = config.adds_begin.value_or(false);
  written.adds_end = config.adds_end.value_or(false);
  return written;
}

WrittenTokenizer build_roberta(const std::filesystem::path& folder, const TokenizerConfig& config) {
  WrittenTokenizer written = build_byte_level(folder, nullptr, byte_level(config, true));
  written.enclosing = WrittenTokenizer::Enclosing::roberta;
  return written;
}

WrittenTokenizer build_deberta(const std::filesystem::path& folder, const TokenizerConfig& config) {
  WrittenTokenizer written = build_byte_level(folder, nullptr, byte_level(config, true));
  written.enclosing = WrittenTokenizer::Enclosing::bert;
  return written;
}

WrittenTokenizer build_qwen2(const std::filesystem::path& folder, const TokenizerConfig& config) {
  const json split = {
      {"type", "Split"}, {"pattern", {{"Regex", qwen2_expression}}}, {"behavior", "Isolated"}};
  WrittenTokenizer written = build_byte_level(
      folder, {{"type", "NFC"}},
      {{"type", "Sequence"}, {"pretokenizers", {split, byte_level(config, false)}}});
  written.enclosing = WrittenTokenizer::Enclosing::begin_and_end;
  written.adds_begin = config.adds_begin.value_or(false);
  written.adds_end = config.adds_end.value_or(false);
  return written;
}

std::unique_ptr<Tokenizer> load_class_files(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path();
  const TokenizerConfig config = read_tokenizer_config(folder);
  if (config.kind != TokenizerConfig::Kind::built)
    throw Error(
        "{}: {}, expected a tokenizer_class in tokenizer_config.json, or a model_type in "
        "config.json, that reads such a file: one of {}",
        printable(file.string()),
        config.class_name.empty() ? "found no tokenizer class beside it"
                                  : "found " + config.class_name + " beside it",
        known_tokenizer_classes());
  return make_tokenizer(config.known_class->build(folder, config), config);
}

}  // namespace rankfold
