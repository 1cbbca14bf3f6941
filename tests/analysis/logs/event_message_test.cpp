#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "analysis/logs/event.pb.h"
#include "analysis/logs/event_log.h"
#include "analysis/logs/event_message.h"
#include "core/base/csv.h"
#include "core/base/files.h"
#include "source_paths.h"

namespace rankfold {
namespace {

const std::filesystem::path forms = std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "logs" / "forms";
const std::filesystem::path forms_log = forms / "events.out.tfevents.1700000000.forms.0";

/// The messages of an event file.
std::vector<std::string> messages(const std::filesystem::path& file) {
  const std::string bytes = read_text(file);
  std::vector<std::string> all;
  for (std::size_t at = 0; at + 16 <= bytes.size();) {
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data() + at, sizeof size);
    all.push_back(bytes.substr(at + 12, size));
    at += 16 + size;
  }
  return all;
}

TEST(EventMessage, ReadsEveryFormOfAScalarAndSkipsTheRest) {
  std::map<std::pair<std::string, std::string>, double> found;
  for (const ScalarEvent& event : read_scalars(forms_log).events)
    EXPECT_TRUE(
        found.emplace(std::pair(event.tag, std::to_string(event.step)), event.value).second);
  const CsvTable expected = read_csv(forms / "expected.csv");
  EXPECT_GT(expected.rows.size(), 40u);
  for (const CsvTable::Row& row : expected.rows) {
    const auto place = found.find({row.fields[0], row.fields[1]});
    ASSERT_NE(place, found.end()) << row.fields[0];
    const double value = std::strtod(row.fields[2].c_str(), nullptr);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(place->second));
    else
      EXPECT_EQ(place->second, value) << row.fields[0];
    found.erase(place);
  }
  for (const auto& [key, value] : found) ADD_FAILURE() << key.first << " is no scalar";
}

TEST(EventMessage, TakesTheStepWhereverItStands) {
  tensorboard::Event first, second;
  auto* value = first.mutable_summary()->add_value();
  value->set_tag("loss");
  value->set_simple_value(0.5f);
  second.set_step(7);
  EventMessage event;
  std::vector<ScalarView> scalars;
  const std::string message = first.SerializeAsString() + second.SerializeAsString();
  ASSERT_TRUE(event.read(message, scalars));
  ASSERT_EQ(scalars.size(), 1u);
  EXPECT_EQ(scalars[0].step, 7);
  EXPECT_EQ(scalars[0].tag, "loss");
}

TEST(EventMessage, IsReadOrRefusedWhateverItsBytes) {
  std::mt19937 random(1);
  const std::vector<std::string> originals = messages(forms_log);
  std::size_t read = 0, refused = 0;
  EventMessage event;
  std::vector<ScalarView> scalars;
  for (int round = 0; round < 20000; ++round) {
    std::string message = originals[random() % originals.size()];
    for (auto change = random() % 3; change > 0 && !message.empty(); --change) {
      if (random() % 4 == 0)
        message.resize(random() % message.size());
      else
        message[random() % message.size()] = static_cast<char>(random());
    }
    ++(event.read(message, scalars) ? read : refused);
  }
  EXPECT_GT(read, 5000u);
  EXPECT_GT(refused, 1000u);
}

TEST(EventMessage, IsNoneWhereTheBytesAreNone) {
  EventMessage event;
  std::vector<ScalarView> scalars;
  EXPECT_FALSE(event.read("\xff\xff", scalars));
  EXPECT_TRUE(event.read("", scalars));
  EXPECT_TRUE(scalars.empty());
}

}  // namespace
}  // namespace rankfold
