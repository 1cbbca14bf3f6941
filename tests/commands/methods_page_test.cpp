// docs/methods.md and its drawings: that they are those of the registry, and what they hold.

#include "experiments/commands/methods_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "analysis/drawings/svg.h"
#include "commands/command_line.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/models/shapes.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::string text_of(const std::vector<PageFile>& files, const std::string& path) {
  for (const PageFile& file : files)
    if (file.path == path) return file.text;
  ADD_FAILURE() << path << " is not among the files";
  return "";
}

const std::vector<PageFile>& builtin_page() {
  static const std::vector<PageFile> files = methods_page(builtin_registry());
  return files;
}

/// The part of the page below a method's heading.
std::string section_of(const std::string& page, const std::string& method) {
  const std::size_t begin = page.find("\n## " + method + "\n");
  if (begin == page.npos) return "";
  return page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

Stack roberta(const Method& method) {
  return select_sites(method, catalogue(find_shape("roberta-base")),
                      method.default_targets.empty() ? "q,v" : method.default_targets, "all", {});
}

void collect_names(const std::vector<Operand>& product, std::set<std::string>& names) {
  const auto add = [&](const std::vector<Mode>& modes) {
    for (const Mode& mode : modes) names.insert(mode.name);
  };
  for (const Operand& operand : product) {
    if (const Factor* factor = std::get_if<Factor>(&operand)) {
      names.insert(factor->name);
      add(factor->modes);
    } else {
      const Block& block = std::get<Block>(operand);
      collect_names(block.product, names);
      add(block.as);
    }
  }
}

/// A line of text in a drawing and the room that it takes at most.
struct DrawnText {
  std::string text;
  double left, right, top, bottom;
};

std::string attribute(const std::string& element, const std::string& name) {
  const std::size_t at = element.find(" " + name + "=\"");
  if (at == element.npos) return "";
  const std::size_t begin = at + name.size() + 3;
  return element.substr(begin, element.find('"', begin) - begin);
}

std::vector<DrawnText> drawn_texts(const std::string& svg) {
  std::vector<DrawnText> texts;
  for (std::size_t at = svg.find("<text "); at != svg.npos; at = svg.find("<text ", at + 1)) {
    const std::size_t open = svg.find('>', at);
    const std::string element = svg.substr(at, open - at);
    const std::string text = svg.substr(open + 1, svg.find('<', open) - open - 1);
    const double size = std::stod(attribute(element, "font-size")),
                 x = std::stod(attribute(element, "x")), y = std::stod(attribute(element, "y"));
    // The estimate of the layout is generous: real text is narrower.
    const double width = 0.9 * text_width(text, size);
    const std::string anchor = attribute(element, "text-anchor");
    const double left = anchor == "start" ? x : anchor == "end" ? x - width : x - width / 2;
    texts.push_back({text, left, left + width, y - 0.7 * size, y});
  }
  return texts;
}

TEST(MethodsPage, IsTheOneInDocs) {
  const fs::path docs = fs::path(RANKFOLD_SOURCE_DIR) / "docs";
  const std::string refresh = "; `build/release/rankfold methods --write docs` writes it anew";
  std::set<std::string> expected;
  for (const PageFile& file : builtin_page()) {
    expected.insert(fs::path(file.path).filename());
    ASSERT_TRUE(fs::exists(docs / file.path)) << file.path << " is missing" << refresh;
    EXPECT_TRUE(read_text(docs / file.path) == file.text)
        << "docs/" << file.path << " is not what the registry says" << refresh;
  }
  for (const auto& entry : fs::directory_iterator(docs / "methods"))
    EXPECT_TRUE(expected.contains(entry.path().filename()))
        << entry.path() << " belongs to no registered method: remove it";
}

TEST(MethodsPage, HasASectionAndADrawingOfEveryMethod) {
  const std::string page = text_of(builtin_page(), "methods.md");
  const Registry registry = builtin_registry();
  for (const Method& method : registry.methods()) {
    SCOPED_TRACE(method.name);
    const std::string section = section_of(page, method.name);
    EXPECT_THAT(section, HasSubstr("\n    " + method.formula + "\n"));
    EXPECT_THAT(section, HasSubstr("(methods/" + method.name + ".svg)"));
    EXPECT_THAT(section,
                HasSubstr(method.entry == Entry::weights ? "Predicted cost: " : "Cost: refused"));
    EXPECT_THAT(page, HasSubstr("| [" + method.name + "](#" + method.name + ") |"));
    for (const MethodOption& option : method.options)
      EXPECT_THAT(section, HasSubstr("| `" + option.name + "` |"));
    for (const Preset& preset : method.presets)
      EXPECT_THAT(section, HasSubstr("| `" + preset.name + "` |"));
  }
}

TEST(MethodsPage, CountsAsTheCountCommandDoes) {
  const std::string page = text_of(builtin_page(), "methods.md");
  EXPECT_THAT(section_of(page, "lora"), HasSubstr("| 8 | 294,912 | 4,194,304 |"));
  EXPECT_THAT(section_of(page, "lora"), HasSubstr("| `A` | 8x768 | 24 | yes |"));
  const Outcome outcome = call("count --model llama-2-7b --method lorta --rank 32 --json");
  const auto count = outcome.json()["adapter"].get<std::size_t>();
  EXPECT_THAT(section_of(page, "lorta"),
              HasSubstr(fmt::format(" {},{:03} |\n", count / 1000, count % 1000)));
}

TEST(MethodsPage, DrawsEveryFactorAndModeOfEveryMethod) {
  const Registry registry = builtin_registry();
  for (const Method& method : registry.methods()) {
    SCOPED_TRACE(method.name);
    const Stack stack = roberta(method);
    const MethodSettings settings =
        resolve_settings(method, {method.has_rank ? "8" : "", {}, "", {}}, stack);
    const Declaration declaration = method.declare(
        *std::ranges::find(stack.sites, stack.layers.size() > 1 ? 1U : 0U, &Site::layer), stack,
        settings);
    std::set<std::string> names;
    for (const Stage& stage : declaration.stages)
      for (const Term& term : stage.network.terms) collect_names(term.product, names);
    if (declaration.normalisation)
      for (const Factor& magnitude : declaration.normalisation->magnitudes)
        names.insert(magnitude.name);
    const std::string svg = text_of(builtin_page(), "methods/" + method.name + ".svg");
    for (const std::string& name : names)
      EXPECT_TRUE(svg.find(">" + name + "<") != svg.npos ||
                  svg.find(">" + name + " = ") != svg.npos)
          << name;
  }
}

TEST(MethodsPage, DrawsNoTextOverAnotherOrBeyondTheEdge) {
  for (const PageFile& file : builtin_page()) {
    if (!file.path.ends_with(".svg")) continue;
    SCOPED_TRACE(file.path);
    const std::vector<DrawnText> texts = drawn_texts(file.text);
    EXPECT_FALSE(texts.empty());
    const double width = std::stod(attribute(file.text, "width")),
                 height = std::stod(attribute(file.text, "height"));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const DrawnText& one = texts[i];
      EXPECT_TRUE(one.left >= 0 && one.right <= width && one.top >= 0 && one.bottom <= height)
          << one.text;
      for (std::size_t k = 0; k < i; ++k) {
        const DrawnText& other = texts[k];
        EXPECT_FALSE(one.left < other.right && other.left < one.right && one.top < other.bottom &&
                     other.top < one.bottom)
            << one.text << " and " << other.text;
      }
    }
  }
}

/// A method that only takes weights of RoBERTa's width.
Method narrow() {
  Method method;
  method.name = "narrow";
  method.summary = "a | b";
  method.formula = "dW = D";
  method.reference = "this *test*";
  method.has_rank = false;
  method.alpha = 0;
  method.declare = [](const Site& site, const Stack&, const MethodSettings&) {
    if (site.in != 768) throw UsageError("[narrow] inputs {}: expected 768", site.in);
    return weight_update(
        {.out = {{"out", site.out}},
         .in = {{"in", site.in}},
         .terms = {{.product = {Factor{"<D>", {{"out", site.out}, {"in", site.in}}}}}}});
  };
  method.notes = [](const Stack& stack, const MethodSettings&) {
    return std::vector{fmt::format("[narrow] {} sites", stack.sites.size())};
  };
  return method;
}

TEST(MethodsPage, ShowsAMethodThatIsRegisteredLater) {
  Registry registry = builtin_registry();
  registry.add(narrow());
  const std::vector<PageFile> files = methods_page(registry);
  const std::string section = section_of(text_of(files, "methods.md"), "narrow");
  EXPECT_THAT(section, HasSubstr("a \\| b"));
  EXPECT_THAT(section, HasSubstr("this \\*test\\*"));
  EXPECT_THAT(section, HasSubstr("| none | 14,155,776 | refused |"));
  EXPECT_THAT(section, HasSubstr("- Llama-2-7B: [narrow] inputs 4096: expected 768\n"));
  EXPECT_THAT(section, HasSubstr("- RoBERTa-base: [narrow] 24 sites\n"));
  EXPECT_THAT(text_of(files, "methods/narrow.svg"), HasSubstr(">&lt;D&gt;<"));
}

TEST(MethodsPage, SaysWhyAMethodHasNoDrawing) {
  Registry registry({});
  Method method = narrow();
  method.declare = [](const Site&, const Stack&, const MethodSettings&) -> Declaration {
    throw UsageError("[narrow] takes no transformers");
  };
  registry.add(method);
  const std::vector<PageFile> files = methods_page(registry);
  EXPECT_EQ(files.size(), 1U);
  const std::string page = text_of(files, "methods.md");
  EXPECT_THAT(page, HasSubstr("No drawing on RoBERTa-base: [narrow] takes no transformers"));
  EXPECT_THAT(page, HasSubstr("| refused | refused | refused |"));
  EXPECT_THAT(page, Not(HasSubstr(".svg)")));
}

TEST(MethodsPage, IsWrittenByTheCommand) {
  const TemporaryFolder folder;
  const fs::path docs = folder.path / "new" / "docs";
  const Outcome outcome = call({"methods", "--write", docs.string(), "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["written"].size(), builtin_page().size());
  std::size_t written = 0;
  for (const auto& entry : fs::recursive_directory_iterator(docs))
    written += entry.is_regular_file();
  EXPECT_EQ(written, builtin_page().size());
  for (const PageFile& file : builtin_page())
    EXPECT_TRUE(read_text(docs / file.path) == file.text) << file.path;
  EXPECT_THAT(call({"methods", "--write", docs.string()}).out,
              HasSubstr((docs / "methods.md").string()));
}

TEST(MethodsPage, IsRefusedWhereItCannotBeWritten) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "file";
  write_atomically(file, "kept");
  const Outcome onto_file = call({"methods", "--write", file.string()});
  EXPECT_EQ(onto_file.status, 1);
  EXPECT_EQ(onto_file.error_lines(), 1U) << onto_file.err;
  EXPECT_THAT(onto_file.err, HasSubstr(file.string()));
  EXPECT_EQ(read_text(file), "kept");

  const Outcome named = call({"methods", "lora", "--write", (folder.path / "docs").string()});
  EXPECT_EQ(named.status, 2);
  EXPECT_EQ(named.error_lines(), 1U) << named.err;
  EXPECT_EQ(call("methods --write").status, 2);

  if (::geteuid() == 0) return;  // may write everywhere
  const fs::path locked = folder.path / "locked";
  fs::create_directory(locked);
  fs::permissions(locked, fs::perms::owner_read | fs::perms::owner_exec);
  const Outcome refused = call({"methods", "--write", locked.string()});
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.error_lines(), 1U) << refused.err;
  fs::permissions(locked, fs::perms::owner_all);
}

}  // namespace
}  // namespace rankfold
