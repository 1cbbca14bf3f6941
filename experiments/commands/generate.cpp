#include <fmt/core.h>

#include "core/base/elapsed.h"
#include "core/base/error.h"
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

/// The tokens that end a text: eos_token_id of generation_config.json, else of config.json.
std::vector<std::int32_t> end_tokens(const fs::path& model) {
  const auto last = static_cast<std::int32_t>(read_shape(model).vocabulary) - 1;
  for (const char* name : {"generation_config.json", "config.json"}) {
    const fs::path file = model / name;
    std::error_code failure;
    if (!fs::exists(file, failure)) continue;
    const JsonDocument document(file);
    const std::optional<JsonField> given = document.root().given("eos_token_id");
    if (!given || given->is_null()) continue;
    std::vector<std::int32_t> ends;
    std::vector<JsonField> fields = given->elements();
    if (fields.empty()) fields.push_back(*given);
    for (const JsonField& field : fields)
      ends.push_back(static_cast<std::int32_t>(field.integer(0, last)));
    return ends;
  }
  return {};
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
  const std::vector<std::int32_t> ends = end_tokens(model);
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
