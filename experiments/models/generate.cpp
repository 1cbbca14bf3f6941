#include "experiments/models/generate.h"

#include <algorithm>
#include <optional>
#include <system_error>

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

std::vector<std::int32_t> generate_greedily(Host& host, std::span<const std::int32_t> prompt,
                                            std::size_t most_new,
                                            std::span<const std::int32_t> ends) {
  if (prompt.empty())
    throw Error("{}: the prompt has no tokens, expected at least one", host.catalogue().model);
  std::vector<std::int32_t> ids(prompt.begin(), prompt.end());
  // The last of the new tokens is told, and not read.
  KeyValueCache cache = host.make_cache(prompt.size() + std::max<std::size_t>(most_new, 1) - 1);
  ids.reserve(prompt.size() + most_new);
  for (std::size_t i = 0; i < most_new; ++i) {
    const std::vector<float> logits =
        host.next_logits(std::span(ids).subspan(cache.tokens()), cache);
    ids.push_back(static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
    if (std::ranges::find(ends, ids.back()) != ends.end()) break;
  }
  return ids;
}

}  // namespace rankfold
