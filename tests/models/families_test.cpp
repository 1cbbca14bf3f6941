#include "experiments/models/families/family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

TEST(Families, AreSortedByNameAndWhole) {
  std::vector<std::string_view> names;
  for (const Family* family : families()) {
    names.push_back(family->name);
    EXPECT_EQ(find_family(family->name), family);
    EXPECT_TRUE(family->presets && family->read && family->norm_parameters && family->parameters)
        << family->name;
    EXPECT_FALSE(family->keys.empty()) << family->name;
    EXPECT_NE(family->modules.layer, nullptr) << family->name;
  }
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(find_family("gpt5"), nullptr);
}

TEST(Families, ListEveryKeyOnce) {
  for (const Family* family : families()) {
    std::set<std::string_view> seen;
    for (const ForeignKey& key : family->keys)
      EXPECT_TRUE(seen.insert(key.name).second) << family->name << " " << key.name;
  }
}

TEST(Families, HaveTheirPresetsInTheListedOrder) {
  std::vector<std::string> presets, order(preset_order().begin(), preset_order().end());
  for (const ModelShape& shape : built_in_shapes()) presets.push_back(shape.name);
  EXPECT_EQ(presets, order);
}

/// The golden config.json of a family.
fs::path write_config(const Family& family, const fs::path& folder) {
  const auto configs = nlohmann::json::parse(
      read_text(fs::path(RANKFOLD_GOLDEN_DIR) / "models/configs/counts.json"));
  // Families that are others under another name are not among them.
  const std::string name(family.name);
  nlohmann::json config = configs[configs.contains(name) ? name : "roberta"]["config"];
  config["model_type"] = name;
  write_atomically(folder / "config.json", config.dump());
  return folder;
}

TEST(Families, ThatCanBeLoadedHaveTheSitesAndParametersThatCountingTells) {
  std::size_t loadable = 0;
  for (const Family* family : families()) {
    if (!family->load) continue;
    ++loadable;
    const TemporaryFolder folder;
    const ModelShape shape = read_shape(write_config(*family, folder.path));
    HostSettings settings;
    settings.labels = 3;
    const auto host = load_random_host(folder.path.string(), settings, make_cpu_device());
    const SiteCatalogue& found = host->catalogue();
    const SiteCatalogue expected = catalogue(shape);
    EXPECT_EQ(found.layers, expected.layers);
    EXPECT_EQ(found.adapter_places, expected.adapter_places);
    ASSERT_EQ(found.sites.size(), expected.sites.size());
    for (std::size_t i = 0; i < expected.sites.size(); ++i) {
      const Site &site = found.sites[i], &other = expected.sites[i];
      EXPECT_EQ(site.name, other.name);
      EXPECT_EQ(site.matrix, other.matrix);
      EXPECT_EQ(site.layer, other.layer);
      EXPECT_EQ(site.out, other.out);
      EXPECT_EQ(site.in, other.in);
      EXPECT_EQ(site.heads, other.heads) << site.name;
      EXPECT_NO_THROW(host->frozen(site));
    }
    // A dense layer that stays frozen is counted with the network only where it is BERT's pooler.
    const bool apart = family->name.starts_with("deberta");
    EXPECT_EQ(host->total_parameters(), shape.parameters + head_parameters(shape, 3) +
                                            (apart ? shape.hidden * (shape.hidden + 1) : 0));
    EXPECT_EQ(host->max_tokens(), shape.positions);
    EXPECT_EQ(host->hidden_size(), shape.hidden);
    settings.parts.norms = true;
    std::size_t norms = 0;
    for (const TrainedTensor& tensor :
         load_random_host(folder.path.string(), settings, make_cpu_device())->trained())
      norms += tensor.value.size();
    EXPECT_EQ(norms, norm_parameters(shape) + head_parameters(shape, 3));
  }
  EXPECT_GE(loadable, 1u);
}

TEST(Families, ThatCannotBeLoadedSaySo) {
  for (const Family* family : families()) {
    if (family->load) continue;
    const TemporaryFolder folder;
    write_config(*family, folder.path);
    EXPECT_EQ(message_of<Error>([&] { load_host(folder.path, {}, make_cpu_device()); }),
              (folder.path / "config.json").string() + ": model_type is '" +
                  std::string(family->name) + "', expected " + loadable_families());
    EXPECT_EQ(message_of<UsageError>(
                  [&] { load_random_host(folder.path.string(), {}, make_cpu_device()); }),
              folder.path.string() + ": the network is of the family " + std::string(family->name) +
                  ", expected " + loadable_families() + ": no other runs yet");
  }
}

/// What a family has of its own stands in its file: nothing else in the program compares names of
/// families, or names their modules.
TEST(Families, AreNamedNowhereElse) {
  const fs::path source = RANKFOLD_SOURCE_DIR;
  std::string names;
  for (const Family* family : families())
    names += (names.empty() ? "" : "|") + std::string(family->name);
  const std::regex comparison(R"((family|model_type)\s*(\(\))?\s*[!=]=|==\s*"()" + names + ")");
  const std::regex module(
      R"("(albert|bert|deberta|roberta|vit|model|transformer)\.(encoder|embeddings|pooler|layers|h)\b)");
  for (const char* room : {"core", "decompositions", "experiments"})
    for (const auto& entry : fs::recursive_directory_iterator(source / room)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
      if (entry.path().parent_path().filename() == "families") continue;
      const std::string text = read_text(entry.path());
      std::size_t begin = 0, number = 1;
      for (std::size_t end = text.find('\n'); end != std::string::npos;
           begin = end + 1, end = text.find('\n', begin), ++number) {
        const std::string line = text.substr(begin, end - begin);
        if (line.find("///") != std::string::npos) continue;
        EXPECT_FALSE(std::regex_search(line, comparison) || std::regex_search(line, module))
            << entry.path() << ":" << number << ": " << line;
      }
    }
}

}  // namespace
}  // namespace rankfold
