#include "experiments/models/generate.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "core/base/error.h"

namespace rankfold {

namespace fs = std::filesystem;

fs::path generation_file(const fs::path& model) {
  std::error_code failure;
  const fs::path own = model / "generation_config.json";
  return fs::exists(own, failure) ? own : model / "config.json";
}

std::vector<std::int32_t> end_tokens(const JsonDocument& document, std::size_t vocabulary) {
  const std::optional<JsonField> given = document.root().optional_member("eos_token_id");
  if (!given) return {};
  std::vector<std::int32_t> ends;
  std::vector<JsonField> fields = given->elements();
  if (fields.empty()) fields.push_back(*given);
  for (const JsonField& field : fields) {
    const std::int64_t id = field.integer(-1, static_cast<std::int64_t>(vocabulary) - 1);
    if (id >= 0) ends.push_back(static_cast<std::int32_t>(id));
  }
  return ends;
}

std::vector<std::vector<std::int32_t>> generate_greedily(
    Host& host, std::span<const std::vector<std::int32_t>> prompts, std::size_t most_new,
    std::span<const std::int32_t> ends) {
  std::vector<std::vector<std::int32_t>> texts(prompts.begin(), prompts.end());
  std::vector<std::size_t> rooms, going;
  for (const std::vector<std::int32_t>& prompt : prompts) {
    if (prompt.empty())
      throw Error("{}: the prompt has no tokens, expected at least one", host.catalogue().model);
    going.push_back(rooms.size());
    // The last of the new tokens is told, and not read.
    rooms.push_back(prompt.size() + std::max<std::size_t>(most_new, 1) - 1);
  }
  KeyValueCache cache = host.make_cache(rooms);
  for (std::size_t step = 0; step < most_new && !going.empty(); ++step) {
    Batch batch;
    batch.starts = {0};
    for (const std::size_t s : going) {
      const auto unread = std::span(texts[s]).last(step == 0 ? texts[s].size() : 1);
      batch.ids.insert(batch.ids.end(), unread.begin(), unread.end());
      batch.starts.push_back(batch.ids.size());
    }
    const std::vector<float> logits = host.next_logits(batch, going, cache);
    const std::size_t words = logits.size() / going.size();
    std::vector<std::size_t> still;
    for (std::size_t i = 0; i < going.size(); ++i) {
      const auto own = std::span(logits).subspan(i * words, words);
      const auto next = static_cast<std::int32_t>(std::ranges::max_element(own) - own.begin());
      texts[going[i]].push_back(next);
      if (std::ranges::find(ends, next) == ends.end()) still.push_back(going[i]);
    }
    going = std::move(still);
  }
  return texts;
}

std::vector<std::int32_t> generate_greedily(Host& host, std::span<const std::int32_t> prompt,
                                            std::size_t most_new,
                                            std::span<const std::int32_t> ends) {
  const std::vector<std::int32_t> ids(prompt.begin(), prompt.end());
  return generate_greedily(host, {&ids, 1}, most_new, ends).front();
}

}  // namespace rankfold
