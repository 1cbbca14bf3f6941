#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <map>
#include <random>

#include "analysis/csv.h"
#include "analysis/event.pb.h"
#include "analysis/event_log.h"
#include "analysis/event_reader.h"
#include "core/files.h"
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
  std::vector<ScalarView> scalars;
  const std::string message = first.SerializeAsString() + second.SerializeAsString();
  ASSERT_TRUE(append_scalars(message, scalars));
  ASSERT_EQ(scalars.size(), 1u);
  EXPECT_EQ(scalars[0].step, 7);
  EXPECT_EQ(scalars[0].tag, "loss");
}

/// What generated classes read of the simple values, in order.
std::vector<ScalarView> by_protobuf(const tensorboard::Event& event) {
  std::vector<ScalarView> scalars;
  for (const auto& value : event.summary().value())
    if (value.has_simple_value())
      scalars.push_back({event.wall_time(), event.step(), value.tag(), value.simple_value()});
  return scalars;
}

bool same(double left, double right) {
  return std::bit_cast<std::uint64_t>(left) == std::bit_cast<std::uint64_t>(right) ||
         (std::isnan(left) && std::isnan(right));
}

TEST(EventMessage, AgreesWithGeneratedClassesOnDamagedMessages) {
  std::mt19937 random(1);
  const std::vector<std::string> originals = messages(forms_log);
  std::size_t both = 0, neither = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string message = originals[random() % originals.size()];
    if (message.size() > 2000) continue;
    for (auto change = random() % 3; change > 0 && !message.empty(); --change) {
      if (random() % 4 == 0)
        message.resize(random() % message.size());
      else
        message[random() % message.size()] = static_cast<char>(random());
    }
    tensorboard::Event event;
    const bool parsed = event.ParseFromString(message);
    std::vector<ScalarView> scalars;
    const bool read = append_scalars(message, scalars);
    if (!read) {
      EXPECT_TRUE(scalars.empty());
      ++neither;
      continue;
    }
    if (!parsed) continue;  // in parts that are not read here, such as metadata
    ++both;
    std::vector<ScalarView> expected = by_protobuf(event), simple;
    for (const ScalarView& scalar : scalars)
      if (std::ranges::any_of(expected, [&](const auto& e) { return e.tag == scalar.tag; }))
        simple.push_back(scalar);
    if (expected.empty()) continue;
    ASSERT_GE(simple.size(), expected.size());
    EXPECT_EQ(simple[0].step, expected[0].step);
    EXPECT_TRUE(same(simple[0].value, expected[0].value));
    EXPECT_TRUE(same(simple[0].wall_time, expected[0].wall_time));
  }
  EXPECT_GT(both, 5000u);
  EXPECT_GT(neither, 1000u);
}

TEST(EventMessage, IsNoneWhereTheBytesAreNone) {
  std::vector<ScalarView> scalars;
  EXPECT_FALSE(append_scalars("\xff\xff", scalars));
  EXPECT_TRUE(append_scalars("", scalars));
  EXPECT_TRUE(scalars.empty());
}

}  // namespace
}  // namespace rankfold
