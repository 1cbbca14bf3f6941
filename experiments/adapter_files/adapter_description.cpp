#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/foreign_keys.h"
#include "core/base/json_reader.h"
#include "core/base/json_text.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "experiments/adapter_files/adapter_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr ForeignKey::Meaning read = ForeignKey::Meaning::read,
                              nothing = ForeignKey::Meaning::changes_nothing;

const std::vector<ForeignKey> known_keys = {
    {"format", read},   {"version", read},    {"rankfold", nothing}, {"method", read},
    {"rank", read},     {"alpha", read},      {"options", read},     {"targets", read},
    {"layers", read},   {"sites", read},      {"stack", read},       {"train", read},
    {"head", read},     {"model", read},      {"fingerprint", read}, {"task", read},
    {"labels", read},   {"regression", read}, {"max_length", read},  {"batch", read},
    {"score_on", read}, {"precision", read},  {"seed", read}};
const std::vector<ForeignKey> site_keys = {{"name", read}, {"rank", read}, {"alpha", read}};
const std::vector<ForeignKey> stack_keys = {{"name", read}, {"matrix", read}, {"layer", read},
                                            {"out", read},  {"in", read},     {"heads", read}};

/// The members of adapter_config.json. What is missing throws, or has the default that it is given.
class Configuration {
 public:
  explicit Configuration(const fs::path& file) : file_(file.string()) {
    document_ = read_json<json>(file);
    expect_known_keys(document_, file, "", {known_keys});
  }

  std::string text(const char* key) const { return text_of(key, at(key, "a text")); }
  std::string text(const char* key, const std::string& fallback) const {
    return document_.contains(key) ? text(key) : fallback;
  }
  std::size_t count(const char* key) const { return count_of(key, at(key, count_form)); }
  std::size_t count(const char* key, std::size_t fallback) const {
    return document_.contains(key) ? count(key) : fallback;
  }
  bool flag(const char* key) const {
    const json& value = at(key, "true or false");
    if (!value.is_boolean()) refuse(key, value, "true or false");
    return value.get<bool>();
  }
  bool flag(const char* key, bool fallback) const {
    return document_.contains(key) ? flag(key) : fallback;
  }
  /// Nothing where it is missing or null.
  std::optional<double> number(const char* key) const {
    if (!document_.contains(key) || document_.at(key).is_null()) return {};
    const json& value = document_.at(key);
    if (!value.is_number()) refuse(key, value, "a number or null");
    return value.get<double>();
  }
  std::map<std::string, std::string> texts(const char* key) const {
    std::map<std::string, std::string> result;
    if (!document_.contains(key)) return result;
    const json& values = document_.at(key);
    if (!values.is_object()) refuse(key, values, "an object of texts");
    for (const auto& [name, value] : values.items())
      result[name] = text_of(fmt::format("{}.{}", key, name), value);
    return result;
  }
  std::vector<SiteChoice> sites(const char* key) const {
    std::vector<SiteChoice> result;
    if (!document_.contains(key)) return result;
    const json& values = document_.at(key);
    if (!values.is_array()) refuse(key, values, "a list of sites");
    for (const json& value : values) {
      if (!value.is_object() || !value.contains("name"))
        refuse(key, value, "an object with a name, and perhaps rank and alpha");
      expect_known_keys(value, file_, key, {site_keys});
      SiteChoice choice;
      choice.name = text_of(fmt::format("{}.name", key), value.at("name"));
      if (value.contains("rank"))
        choice.rank = text_of(fmt::format("{}.rank", key), value.at("rank"));
      if (value.contains("alpha")) {
        if (!value.at("alpha").is_number()) refuse(key, value, "a number for alpha");
        choice.alpha = value.at("alpha").get<double>();
      }
      result.push_back(std::move(choice));
    }
    return result;
  }
  std::vector<Site> stack(const char* key) const {
    std::vector<Site> result;
    if (!document_.contains(key)) return result;
    const json& values = document_.at(key);
    if (!values.is_array()) refuse(key, values, "a list of weights");
    for (const json& value : values) {
      const auto count = [&](const char* name) {
        const auto found = value.find(name);
        if (found == value.end() || !found->is_number_unsigned() ||
            found->get<std::size_t>() > largest_side)
          refuse(fmt::format("{}.{}", key, name), value, "a whole number");
        return found->get<std::size_t>();
      };
      if (!value.is_object() || !value.contains("name") || !value.contains("matrix"))
        refuse(key, value, "an object with name, matrix, layer, out, in and heads");
      expect_known_keys(value, file_, key, {stack_keys});
      Site site;
      site.name = text_of(fmt::format("{}.name", key), value.at("name"));
      const auto matrix =
          find_matrix_type(text_of(fmt::format("{}.matrix", key), value.at("matrix")));
      if (!matrix) refuse(fmt::format("{}.matrix", key), value, "the name of a matrix type");
      site.matrix = *matrix;
      site.layer = count("layer");
      site.out = count("out");
      site.in = count("in");
      site.heads = count("heads");
      result.push_back(std::move(site));
    }
    return result;
  }
  [[noreturn]] void refuse(const std::string& key, const json& found, const char* expected) const {
    const std::string shown = found.dump(-1, ' ', false, json::error_handler_t::replace);
    throw Error("{}: {} is {}; expected {}", file_, printable(key, 80), printable(shown, 80),
                expected);
  }

 private:
  static constexpr const char* count_form = "a whole number, 0 or more";
  static constexpr std::size_t largest_side = 1u << 24;

  const json& at(const char* key, const char* expected) const {
    const auto found = document_.find(key);
    if (found == document_.end())
      throw Error("{}: {} is missing; expected {}", file_, key, expected);
    return *found;
  }
  std::string text_of(const std::string& key, const json& value) const {
    if (!value.is_string()) refuse(key, value, "a text");
    return value.get<std::string>();
  }
  std::size_t count_of(const char* key, const json& value) const {
    if (!value.is_number_unsigned()) refuse(key, value, count_form);
    return value.get<std::size_t>();
  }

  std::string file_;
  json document_;
};

}  // namespace

void write_adapter_description(const fs::path& folder, const AdapterDescription& description,
                               const Stack& stack) {
  json document;
  document["format"] = "rankfold";
  document["version"] = 1;
  document["rankfold"] = version();
  document["method"] = description.method;
  document["rank"] = description.rank;
  const std::optional<double> alpha = asked_alpha(description);
  document["alpha"] = alpha ? json(*alpha) : json(nullptr);
  document["options"] = json(description.settings.options);
  document["targets"] = description.targets;
  document["layers"] = description.layers;
  if (!description.sites.empty()) {
    document["sites"] = json::array();
    for (const SiteChoice& choice : description.sites) {
      json entry = {{"name", choice.name}};
      if (!choice.rank.empty()) entry["rank"] = choice.rank;
      if (choice.alpha) entry["alpha"] = *choice.alpha;
      document["sites"].push_back(std::move(entry));
    }
  }
  document["stack"] = json::array();
  for (const Site& site : stack.sites)
    document["stack"].push_back({{"name", site.name},
                                 {"matrix", to_string(site.matrix)},
                                 {"layer", site.layer},
                                 {"out", site.out},
                                 {"in", site.in},
                                 {"heads", site.heads}});
  document["train"] = description.train;
  if (!description.head) document["head"] = false;
  document["model"] = description.model;
  document["fingerprint"] = description.fingerprint;
  document["task"] = description.task;
  document["labels"] = description.labels;
  document["regression"] = description.regression;
  document["max_length"] = description.max_length;
  document["batch"] = description.batch;
  document["score_on"] = description.score_on;
  document["precision"] = description.precision;
  document["seed"] = description.seed;
  write_atomically(folder / adapter_config_name, json_text(document));
}

AdapterDescription read_adapter_description(const fs::path& folder) {
  const Configuration file(folder / adapter_config_name);
  if (const std::string format = file.text("format"); format != "rankfold")
    file.refuse("format", format, "'rankfold', an adapter folder that rankfold wrote");
  if (const std::size_t number = file.count("version"); number != 1)
    file.refuse("version", number, "1");
  AdapterDescription description;
  description.method = file.text("method");
  description.rank = file.text("rank");
  description.alpha = file.number("alpha");
  description.settings.alpha = description.alpha.value_or(0);
  description.settings.options = file.texts("options");
  description.targets = file.text("targets");
  description.layers = file.text("layers", description.layers);
  description.sites = file.sites("sites");
  description.stack = file.stack("stack");
  description.train = file.text("train", description.train);
  description.head = file.flag("head", true);
  description.task = file.text("task");
  description.labels = file.count("labels");
  description.regression = file.flag("regression");
  description.model = file.text("model");
  description.fingerprint = file.text("fingerprint");
  description.max_length = file.count("max_length", description.max_length);
  description.batch = file.count("batch", description.batch);
  description.score_on = file.text("score_on", description.score_on);
  description.precision = file.text("precision", description.precision);
  description.seed = file.count("seed", description.seed);
  if (description.labels == 0 || description.labels > 100000)
    file.refuse("labels", description.labels, "1 to 100000");
  if (description.max_length == 0) file.refuse("max_length", description.max_length, "1 or more");
  if (description.batch == 0) file.refuse("batch", description.batch, "1 or more");
  if (description.score_on != "dev" && description.score_on != "held-out")
    file.refuse("score_on", description.score_on, "dev or held-out");
  if (description.precision != "f32" && description.precision != "bf16")
    file.refuse("precision", description.precision, "f32 or bf16");
  return description;
}

}  // namespace rankfold
