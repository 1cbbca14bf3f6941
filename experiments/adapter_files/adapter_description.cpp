#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/foreign_keys.h"
#include "core/base/json_field.h"
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
    {"format", read},      {"version", read},   {"rankfold", nothing},  {"method", read},
    {"rank", read},        {"alpha", read},     {"options", read},      {"targets", read},
    {"layers", read},      {"sites", read},     {"stack", read},        {"train", read},
    {"head", read},        {"replaced", read},  {"output", read},       {"model", read},
    {"fingerprint", read}, {"task", read},      {"labels", read},       {"regression", read},
    {"max_length", read},  {"batch", read},     {"score_on", read},     {"precision", read},
    {"seed", read},        {"max_train", read}, {"trained_rows", read}, {"classes", read},
    {"table", read}};
const std::vector<ForeignKey> site_keys = {{"name", read}, {"rank", read}, {"alpha", read}};
const std::vector<ForeignKey> stack_keys = {{"name", read},    {"matrix", read}, {"layer", read},
                                            {"out", read},     {"in", read},     {"heads", read},
                                            {"part_of", read}, {"bias", read}};

constexpr const char* language_model_name = "language model";
constexpr const char* no_bias = "none";
constexpr const char* text_form = "a text";
constexpr const char* flag_form = "true or false";
constexpr const char* count_form = "a whole number, 0 or more";
constexpr std::size_t largest_side = 1u << 24;

// The members of adapter_config.json. What is missing throws, or has the default that it is given.

std::string text_at(const OrderedJsonField& file, const char* key) {
  return file.member(key, text_form).string(text_form);
}
std::string text_at(const OrderedJsonField& file, const char* key, const std::string& fallback) {
  return file.given(key) ? text_at(file, key) : fallback;
}

std::size_t count_at(const OrderedJsonField& file, const char* key) {
  return file.member(key, count_form).count(count_form);
}
std::size_t count_at(const OrderedJsonField& file, const char* key, std::size_t fallback) {
  return file.given(key) ? count_at(file, key) : fallback;
}

std::map<std::string, std::string> texts_at(const OrderedJsonField& file, const char* key) {
  std::map<std::string, std::string> result;
  const auto values = file.given(key);
  if (!values) return result;
  if (!values->is_object()) values->refuse("an object of texts");
  for (const auto& [name, value] : values->members()) result[name] = value.string(text_form);
  return result;
}

/// The elements of a list, each called by the list's key; none where it is missing.
std::vector<OrderedJsonField> list_at(const OrderedJsonField& file, const char* key,
                                      const char* expected) {
  const auto list = file.given(key);
  if (!list) return {};
  if (!list->is_array()) list->refuse(expected);
  std::vector<OrderedJsonField> elements;
  for (const OrderedJsonField& element : list->elements()) elements.push_back(element.named(key));
  return elements;
}

std::vector<SiteChoice> read_sites(const OrderedJsonField& file) {
  std::vector<SiteChoice> result;
  for (const OrderedJsonField& entry : list_at(file, "sites", "a list of sites")) {
    if (!entry.given("name")) entry.refuse("an object with a name, and perhaps rank and alpha");
    expect_known_keys(entry.value(), entry.file(), entry.key(), {site_keys});
    SiteChoice choice;
    choice.name = entry.member("name").string(text_form);
    if (const auto rank = entry.given("rank")) choice.rank = rank->string(text_form);
    if (const auto alpha = entry.given("alpha")) {
      choice.alpha = alpha->number_or_nothing();
      if (!choice.alpha) entry.refuse("a number for alpha");
    }
    result.push_back(std::move(choice));
  }
  return result;
}

/// An error about a site shows all of it.
Site read_site(const OrderedJsonField& entry) {
  const auto wrong = [&](const char* name) { return entry.named(fmt::format("stack.{}", name)); };
  const auto count = [&](const char* name) {
    const auto value = entry.given(name);
    const auto number = value ? value->count_or_nothing() : std::nullopt;
    if (!number || *number > largest_side) wrong(name).refuse("a whole number");
    return static_cast<std::size_t>(*number);
  };
  if (!entry.given("name") || !entry.given("matrix"))
    entry.refuse("an object with name, matrix, layer, out, in and heads");
  expect_known_keys(entry.value(), entry.file(), entry.key(), {stack_keys});
  Site site;
  site.name = entry.member("name").string(text_form);
  const auto matrix = find_matrix_type(entry.member("matrix").string(text_form));
  if (!matrix) wrong("matrix").refuse("the name of a matrix type");
  site.matrix = *matrix;
  site.layer = count("layer");
  site.out = count("out");
  site.in = count("in");
  site.heads = count("heads");
  if (const auto whole = entry.given("part_of")) site.part_of = whole->string(text_form);
  if (const auto bias = entry.given("bias")) {
    if (bias->string(text_form) != no_bias) wrong("bias").refuse(no_bias);
    site.bias = Site::BiasRows::none;
  }
  return site;
}

std::vector<Site> read_stack(const OrderedJsonField& file) {
  std::vector<Site> result;
  for (const OrderedJsonField& entry : list_at(file, "stack", "a list of weights"))
    result.push_back(read_site(entry));
  return result;
}

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
  for (const Site& site : stack.sites) {
    json entry = {{"name", site.name},   {"matrix", to_string(site.matrix)},
                  {"layer", site.layer}, {"out", site.out},
                  {"in", site.in},       {"heads", site.heads}};
    if (!site.part_of.empty()) entry["part_of"] = site.part_of;
    if (site.bias == Site::BiasRows::none) entry["bias"] = no_bias;
    document["stack"].push_back(std::move(entry));
  }
  document["train"] = description.train;
  if (!description.head) document["head"] = false;
  if (!description.replaced.empty()) document["replaced"] = description.replaced;
  if (description.output == HostOutput::language_model) document["output"] = language_model_name;
  document["model"] = description.model;
  document["fingerprint"] = description.fingerprint;
  document["task"] = description.task;
  document["labels"] = description.labels;
  document["regression"] = description.regression;
  if (!description.classes.empty()) document["classes"] = description.classes;
  if (!description.table.empty()) document["table"] = json(description.table);
  document["max_length"] = description.max_length;
  document["batch"] = description.batch;
  if (description.max_train > 0) document["max_train"] = description.max_train;
  if (!description.trained_rows.empty()) document["trained_rows"] = description.trained_rows;
  document["score_on"] = description.score_on;
  document["precision"] = description.precision;
  document["seed"] = description.seed;
  write_atomically(folder / adapter_config_name, json_text(document));
}

AdapterDescription read_adapter_description(const fs::path& folder) {
  const OrderedJsonDocument document(folder / adapter_config_name, {}, JsonWording::is_then);
  const OrderedJsonField file = document.root();
  expect_known_keys(file.value(), document.file(), "", {known_keys});
  const auto expect = [&](const char* key, bool right, const char* expected) {
    if (!right) file.member(key).refuse(expected);
  };
  expect("format", text_at(file, "format") == "rankfold",
         "'rankfold', an adapter folder that rankfold wrote");
  expect("version", count_at(file, "version") == 1, "1");
  AdapterDescription description;
  description.method = text_at(file, "method");
  description.rank = text_at(file, "rank");
  if (const auto alpha = file.find("alpha")) description.alpha = alpha->number("a number or null");
  description.settings.alpha = description.alpha.value_or(0);
  description.settings.options = texts_at(file, "options");
  description.targets = text_at(file, "targets");
  description.layers = text_at(file, "layers", description.layers);
  description.sites = read_sites(file);
  description.stack = read_stack(file);
  description.train = text_at(file, "train", description.train);
  if (const auto head = file.given("head")) description.head = head->boolean(flag_form);
  if (const auto replaced = file.given("replaced"))
    description.replaced = replaced->strings("a list of tensors' names");
  if (const auto output = file.given("output")) {
    if (output->string(text_form) != language_model_name) output->refuse(language_model_name);
    description.output = HostOutput::language_model;
  }
  description.task = text_at(file, "task");
  description.labels = count_at(file, "labels");
  description.regression = file.member("regression", flag_form).boolean(flag_form);
  if (const auto classes = file.given("classes"))
    description.classes = classes->strings("a list of classes' names");
  description.table = texts_at(file, "table");
  description.model = text_at(file, "model");
  description.fingerprint = text_at(file, "fingerprint");
  description.max_length = count_at(file, "max_length", description.max_length);
  description.batch = count_at(file, "batch", description.batch);
  description.max_train = count_at(file, "max_train", description.max_train);
  description.trained_rows = text_at(file, "trained_rows", description.trained_rows);
  description.score_on = text_at(file, "score_on", description.score_on);
  description.precision = text_at(file, "precision", description.precision);
  description.seed = count_at(file, "seed", description.seed);
  expect("labels", description.labels > 0 && description.labels <= 100000, "1 to 100000");
  if (!description.classes.empty())
    expect("classes", description.classes.size() == description.labels, "a name for each label");
  expect("max_length", description.max_length > 0, "1 or more");
  expect("batch", description.batch > 0, "1 or more");
  expect("score_on", description.score_on == "dev" || description.score_on == "held-out",
         "dev or held-out");
  expect("precision", description.precision == "f32" || description.precision == "bf16",
         "f32 or bf16");
  return description;
}

}  // namespace rankfold
