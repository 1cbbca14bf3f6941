#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace rankfold {

struct TokenizerConfig;
struct WrittenTokenizer;

/// A tokenizer class of transformers: what its name says beyond its files.
struct TokenizerClass {
  enum class Kind {
    as_written,  ///< takes tokenizer.json as it stands, and needs it
    bert,        ///< takes the vocabulary, and the rest from tokenizer_config.json
    built        ///< takes tokenizer.json as it stands, and builds one of older files
  };
  struct Name {
    const char *role, *content;
    bool lstrip = false;
  };

  std::string_view name;  ///< without the Fast at its end
  Kind kind;
  bool has_types;                                 ///< the model is given token types
  std::span<const std::string_view> model_types;  ///< of config.json, that it is taken for
  std::span<const Name> special_tokens;           ///< by role, where no file names others
  /// Of Kind::built: reads the older files of a folder. Throws Error naming file and reason.
  WrittenTokenizer (*build)(const std::filesystem::path& folder, const TokenizerConfig& config);
  bool adds_space_if_told = false;  ///< add_prefix_space is false where no file says it
};

/// Nothing where no class of that name, or none for that model, is known.
const TokenizerClass* find_tokenizer_class(std::string_view name);
const TokenizerClass* find_class_of_model(std::string_view model_type);

/// The names of all classes, for messages.
std::string_view known_tokenizer_classes();

// Builders, one file for those that read the same files.

WrittenTokenizer build_gpt2(const std::filesystem::path& folder, const TokenizerConfig& config);
WrittenTokenizer build_roberta(const std::filesystem::path& folder, const TokenizerConfig& config);
WrittenTokenizer build_deberta(const std::filesystem::path& folder, const TokenizerConfig& config);
WrittenTokenizer build_qwen2(const std::filesystem::path& folder, const TokenizerConfig& config);
WrittenTokenizer build_llama(const std::filesystem::path& folder, const TokenizerConfig& config);
WrittenTokenizer build_albert(const std::filesystem::path& folder, const TokenizerConfig& config);
WrittenTokenizer build_deberta_v2(const std::filesystem::path& folder,
                                  const TokenizerConfig& config);
WrittenTokenizer build_xlm_roberta(const std::filesystem::path& folder,
                                   const TokenizerConfig& config);

}  // namespace rankfold
