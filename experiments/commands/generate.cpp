#include <algorithm>
#include <ostream>

#include <fmt/core.h>

#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/foreign_keys.h"
#include "core/base/json_field.h"
#include "core/base/json_value.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/models/generate.h"
#include "experiments/models/input_checks.h"
#include "experiments/models/shapes.h"
#include "experiments/runs/settings.h"
#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// transformers' keys of generation: those that change its greedy text are off_only.
std::vector<ForeignKey> generation_keys() {
  // How tokens are drawn, how beams end, what is kept and told, and how fast.
  std::vector<ForeignKey> keys = joined(
      {keys_of(ForeignKey::Meaning::changes_nothing,
               {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"}),
       keys_of(ForeignKey::Meaning::changes_nothing,
               {"max_length", "max_new_tokens", "do_sample", "temperature", "top_k", "top_p",
                "top_h", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "length_penalty",
                "early_stopping", "diversity_penalty", "num_return_sequences", "max_window_size"}),
       keys_of(ForeignKey::Meaning::changes_nothing,
               {"use_cache", "output_attentions", "output_hidden_states", "output_scores",
                "output_logits", "return_dict_in_generate", "transformers_version",
                "_from_model_config", "cache_implementation", "cache_config", "renormalize_logits",
                "remove_invalid_values", "low_memory", "compile_config", "disable_compile",
                "chat_format"}),
       keys_of(ForeignKey::Meaning::changes_nothing,
               {"num_assistant_tokens", "num_assistant_tokens_schedule", "is_assistant",
                "assistant_confidence_threshold", "assistant_early_exit", "assistant_lookbehind",
                "target_lookbehind", "prompt_lookup_num_tokens", "max_matching_ngram_size"})});
  for (const char* name : {"repetition_penalty", "encoder_repetition_penalty", "guidance_scale",
                           "num_beams", "num_beam_groups"})
    keys.push_back({name, ForeignKey::Meaning::off_only, {"1", "1.0"}});
  for (const char* name : {"no_repeat_ngram_size",
                           "encoder_no_repeat_ngram_size",
                           "bad_words_ids",
                           "force_words_ids",
                           "constraints",
                           "min_length",
                           "min_new_tokens",
                           "forced_bos_token_id",
                           "forced_eos_token_id",
                           "suppress_tokens",
                           "begin_suppress_tokens",
                           "forced_decoder_ids",
                           "sequence_bias",
                           "exponential_decay_length_penalty",
                           "penalty_alpha",
                           "watermarking_config",
                           "dola_layers",
                           "stop_strings",
                           "max_time",
                           "token_healing"})
    keys.push_back({name, ForeignKey::Meaning::off_only, {"0", "0.0"}});
  return keys;
}

/// Names what would make another text in transformers. Of config.json the model's reader knows
/// the other keys.
void note_what_is_left_out(const JsonDocument& document, const fs::path& file, std::ostream& out) {
  const std::vector<ForeignKey> keys = generation_keys();
  for (const auto& [key, field] : document.root().members()) {
    const auto known = std::ranges::find(keys, key, &ForeignKey::name);
    const std::string value = field.value().dump();
    const bool is_harmless =
        is_off(field.value()) ||
        (known == keys.end() ? file.filename() == "config.json"
                             : known->meaning == ForeignKey::Meaning::changes_nothing ||
                                   std::ranges::find(known->off, value) != known->off.end());
    if (!is_harmless)
      out << fmt::format("{}: {} is {}; each token is the likeliest without it\n",
                         printable(file.string()), printable(key, 80), printable(value, 80));
  }
}

struct Generation {
  std::vector<std::int32_t> ids;
  std::string text;
  double tokens_per_second = 0;
};

Generation continue_text(Host& host, const Tokenizer& tokenizer, const std::string& prompt,
                         std::size_t most_new, const std::vector<std::int32_t>& ends) {
  const Encoding encoding = tokenizer.encode(prompt);
  if (encoding.ids.empty()) throw UsageError("--prompt: the text has no tokens");
  const std::size_t given = encoding.ids.size(), positions = host.max_tokens();
  if (given > positions)
    throw UsageError("--prompt: the text has {} tokens; the model in {} has {} positions", given,
                     host.catalogue().model, positions);
  // The last new token is told, not read.
  if (const std::size_t room = positions - given + 1; most_new > room)
    throw UsageError(
        "--max-new is {}; expected at most {}: the prompt has {} tokens and the model in {} has {} "
        "positions",
        most_new, room, given, host.catalogue().model, positions);
  Generation made;
  const auto start = Clock::now();
  made.ids = generate_greedily(host, encoding.ids, most_new, ends);
  made.tokens_per_second =
      static_cast<double>(made.ids.size() - encoding.ids.size()) / seconds_since(start);
  made.text = tokenizer.decode(made.ids);
  return made;
}

int run_generate(const Arguments& arguments, Context& context) {
  const fs::path model = arguments.text("model"), adapter = arguments.text("adapter");
  const std::size_t most_new = arguments.count("max-new", 32);
  const std::size_t threads = thread_count(arguments);
  check_model_folder(model);
  const fs::path how = generation_file(model);
  const JsonDocument told(how);
  const std::vector<std::int32_t> ends = end_tokens(told, read_shape(model).vocabulary);
  note_what_is_left_out(told, how, context.err);
  const std::string precision = arguments.text("precision");
  if (!precision.empty()) check_setting("precision", precision);
  set_threads(static_cast<int>(threads));
  const auto device = make_calibrated_device();
  const auto tokenizer = load_tokenizer(model);
  AdaptedModel adapted;
  if (adapter.empty()) {
    check_precision(precision);
    HostSettings settings;
    settings.output = HostOutput::language_model;
    settings.bfloat16 = precision == "bf16";
    adapted.host = load_host(model, settings, device);
  } else {
    adapted = load_adapted_model(model, adapter, context.registry, device, precision,
                                 HostOutput::language_model);
  }
  for (const std::string& note : adapted.host->notes()) context.err << note << '\n';
  const Generation made =
      continue_text(*adapted.host, *tokenizer, arguments.text("prompt"), most_new, ends);
  if (context.json) {
    const JsonValue document = {
        {"ids", made.ids}, {"text", made.text}, {"tokens_per_second", made.tokens_per_second}};
    context.out << document.text();
  } else {
    context.out << made.text << '\n';
  }
  return 0;
}

}  // namespace

Command generate_command() {
  return {"generate",
          "continues a text greedily, for checking a decoder",
          {},
          {{"model", "DIR", "", "folder of a causal language model", true},
           {"adapter", "DIR", "", "a run's folder adapter/, or one of huggingface/peft"},
           {"prompt", "TEXT", "",
            "what the text begins with; default: the tokenizer's begin token alone"},
           {"max-new", "N", "32", "tokens at most"},
           {"precision", "TYPE", "", "f32 or bf16; default: the adapter's, else f32"},
           {"threads", "N", "", "default: all processors"}},
          "Each token is the likeliest one; the text ends with the model's end token. "
          "JSON: {ids, text, tokens_per_second}: the tokens of the prompt and what follows them.",
          run_generate,
          {}};
}

}  // namespace rankfold
