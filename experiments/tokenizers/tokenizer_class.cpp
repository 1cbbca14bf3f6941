#include "experiments/tokenizers/tokenizer_class.h"

#include <algorithm>
#include <array>
#include <string>

#include "experiments/tokenizers/written_tokenizer.h"

namespace rankfold {
namespace {

using ClassKind = TokenizerClass::Kind;
using SpecialName = TokenizerClass::Name;
using ModelType = std::string_view;

constexpr std::array<ModelType, 7> bert_models = {
    "bert", "distilbert", "electra", "mobilebert", "squeezebert", "layoutlm", "lxmert"};
constexpr std::array<ModelType, 3> gpt2_models = {"gpt2", "opt", "starcoder2"};
constexpr std::array<ModelType, 2> llama_models = {"llama", "mistral"},
                                   qwen2_models = {"qwen2", "qwen3"};
constexpr std::array<ModelType, 1> roberta_models = {"roberta"}, albert_models = {"albert"},
                                   deberta_models = {"deberta"}, deberta_v2_models = {"deberta-v2"},
                                   xlm_roberta_models = {"xlm-roberta"};

constexpr std::array<SpecialName, 3> gpt2_names = {{{"bos_token", "<|endoftext|>"},
                                                    {"eos_token", "<|endoftext|>"},
                                                    {"unk_token", "<|endoftext|>"}}};
constexpr std::array<SpecialName, 3> qwen2_names = {{{"eos_token", "<|endoftext|>"},
                                                     {"unk_token", "<|endoftext|>"},
                                                     {"pad_token", "<|endoftext|>"}}};
constexpr std::array<SpecialName, 3> llama_names = {
    {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}}};
constexpr std::array<SpecialName, 7> roberta_names = {{{"bos_token", "<s>"},
                                                       {"eos_token", "</s>"},
                                                       {"unk_token", "<unk>"},
                                                       {"sep_token", "</s>"},
                                                       {"pad_token", "<pad>"},
                                                       {"cls_token", "<s>"},
                                                       {"mask_token", "<mask>", true}}};
constexpr std::array<SpecialName, 7> deberta_names = {{{"bos_token", "[CLS]"},
                                                       {"eos_token", "[SEP]"},
                                                       {"unk_token", "[UNK]"},
                                                       {"sep_token", "[SEP]"},
                                                       {"pad_token", "[PAD]"},
                                                       {"cls_token", "[CLS]"},
                                                       {"mask_token", "[MASK]", true}}};
constexpr std::array<SpecialName, 7> deberta_v2_names = {{{"bos_token", "[CLS]"},
                                                          {"eos_token", "[SEP]"},
                                                          {"unk_token", "[UNK]"},
                                                          {"sep_token", "[SEP]"},
                                                          {"pad_token", "[PAD]"},
                                                          {"cls_token", "[CLS]"},
                                                          {"mask_token", "[MASK]"}}};
constexpr std::array<SpecialName, 7> albert_names = {{{"bos_token", "[CLS]"},
                                                      {"eos_token", "[SEP]"},
                                                      {"unk_token", "<unk>"},
                                                      {"sep_token", "[SEP]"},
                                                      {"pad_token", "<pad>"},
                                                      {"cls_token", "[CLS]"},
                                                      {"mask_token", "[MASK]", true}}};

constexpr std::array<TokenizerClass, 17> classes = {{
    {"BertTokenizer", ClassKind::bert, true, bert_models, {}, nullptr},
    {"DistilBertTokenizer", ClassKind::bert, false, {}, {}, nullptr},
    {"ElectraTokenizer", ClassKind::bert, true, {}, {}, nullptr},
    {"MobileBertTokenizer", ClassKind::bert, true, {}, {}, nullptr},
    {"SqueezeBertTokenizer", ClassKind::bert, true, {}, {}, nullptr},
    {"LayoutLMTokenizer", ClassKind::bert, true, {}, {}, nullptr},
    {"LxmertTokenizer", ClassKind::bert, true, {}, {}, nullptr},
    {"PreTrainedTokenizerFast", ClassKind::as_written, false, {}, {}, nullptr},
    {"TokenizersBackend", ClassKind::as_written, false, {}, {}, nullptr},
    {"GPT2Tokenizer", ClassKind::built, false, gpt2_models, gpt2_names, build_gpt2, true},
    {"RobertaTokenizer", ClassKind::built, false, roberta_models, roberta_names, build_roberta,
     true},
    {"DebertaTokenizer", ClassKind::built, true, deberta_models, deberta_names, build_deberta,
     true},
    {"Qwen2Tokenizer", ClassKind::built, false, qwen2_models, qwen2_names, build_qwen2, true},
    {"LlamaTokenizer", ClassKind::built, false, llama_models, llama_names, build_llama},
    {"AlbertTokenizer", ClassKind::built, true, albert_models, albert_names, build_albert},
    {"DebertaV2Tokenizer", ClassKind::built, true, deberta_v2_models, deberta_v2_names,
     build_deberta_v2},
    {"XLMRobertaTokenizer", ClassKind::built, false, xlm_roberta_models, roberta_names,
     build_xlm_roberta},
}};

}  // namespace

const TokenizerClass* find_tokenizer_class(std::string_view name) {
  if (name.ends_with("Fast")) name.remove_suffix(4);
  for (const TokenizerClass& known : classes) {
    std::string_view its = known.name;
    if (its.ends_with("Fast")) its.remove_suffix(4);
    if (its == name) return &known;
  }
  return nullptr;
}

const TokenizerClass* find_class_of_model(std::string_view model_type) {
  for (const TokenizerClass& known : classes)
    if (std::ranges::find(known.model_types, model_type) != known.model_types.end()) return &known;
  return nullptr;
}

std::string_view known_tokenizer_classes() {
  static const std::string names = [] {
    std::string all;
    for (const TokenizerClass& known : classes)
      all += (all.empty() ? "" : ", ") + std::string(known.name);
    return all;
  }();
  return names;
}

}  // namespace rankfold
