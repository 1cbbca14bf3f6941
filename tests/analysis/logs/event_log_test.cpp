#include "analysis/logs/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "analysis/logs/checksum.h"
#include "core/base/csv.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::filesystem::path golden = std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "analysis";
const std::filesystem::path torch_log = golden / "events.out.tfevents.1795325972.vm.5129.0";

std::string failure_of(const std::filesystem::path& file) {
  try {
    read_scalars(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

std::filesystem::path written_log(const std::filesystem::path& folder) {
  EventWriter writer(folder);
  writer.scalar("train/loss", 0.5, 1);
  writer.scalar("eval/accuracy", 0.75, 20);
  writer.scalar("train/loss", std::numeric_limits<double>::quiet_NaN(), 21);
  writer.close();
  return writer.file();
}

TEST(Checksum, AgreesWithPublishedValues) {
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  const std::string zeros(32, '\0'), ones(32, '\xff');
  EXPECT_EQ(crc32c(zeros.data(), 32), 0x8a9136aau);  // RFC 3720, appendix B.4
  EXPECT_EQ(crc32c(ones.data(), 32), 0x62a8ab43u);
}

TEST(EventLog, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const ScalarLog log = read_scalars(written_log(folder.path / "new" / "run"));
  ASSERT_EQ(log.events.size(), 3u);
  EXPECT_FALSE(log.truncated);
  EXPECT_EQ(log.events[0].tag, "train/loss");
  EXPECT_EQ(log.events[0].step, 1);
  EXPECT_EQ(log.events[0].value, 0.5);
  EXPECT_GT(log.events[0].wall_time, 1.6e9);
  EXPECT_EQ(log.events[1].tag, "eval/accuracy");
  EXPECT_EQ(log.events[1].step, 20);
  EXPECT_TRUE(std::isnan(log.events[2].value));
}

TEST(EventLog, NamesFilesAsTensorBoardExpects) {
  const TemporaryFolder folder;
  const EventWriter first(folder.path), second(folder.path);
  EXPECT_NE(first.file(), second.file());
  const std::string name = first.file().filename().string();
  EXPECT_THAT(name, testing::StartsWith("events.out.tfevents."));
  EXPECT_THAT(name, HasSubstr("." + std::to_string(::getpid()) + "."));
}

TEST(EventLog, ReadsEveryRecordBeforeTheFileIsClosed) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path);
  writer.scalar("loss", 1, 1);
  EXPECT_EQ(read_scalars(writer.file()).events.size(), 1u);
  writer.scalar("loss", 2, 2);
  EXPECT_EQ(read_scalars(writer.file()).events.size(), 2u);
}

TEST(EventLog, KeepsCountsExactly) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path);
  writer.exact_scalar("parameters/adapter", 16777217, 0);
  const ScalarLog log = read_scalars(writer.file());
  ASSERT_EQ(log.events.size(), 1u);
  EXPECT_EQ(log.events[0].value, 16777217);
}

TEST(EventLog, HoldsASessionThatIsNoScalar) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path);
  writer.start_session({{"lr", 1e-3}, {"method", "lora"}, {"rslora", false}});
  writer.end_session(true);
  writer.close();
  EXPECT_TRUE(read_scalars(writer.file()).events.empty());
  const std::string bytes = read_text(writer.file());
  for (const char* text : {"_hparams_/session_start_info", "_hparams_/session_end_info", "lora"})
    EXPECT_THAT(bytes, HasSubstr(text));
}

TEST(EventLog, RefusesToWriteOnceClosed) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path);
  writer.close();
  writer.close();
  EXPECT_THROW(writer.scalar("loss", 1, 1), Error);
}

TEST(EventLog, ReadsTheLogOfTorch) {
  const ScalarLog log = read_scalars(torch_log);
  EXPECT_FALSE(log.truncated);
  const CsvTable expected = read_csv(golden / "eval_loss.csv");
  std::size_t next = 0;
  for (const ScalarEvent& event : log.events) {
    if (event.tag != "eval/loss") continue;
    ASSERT_LT(next, expected.rows.size());
    EXPECT_EQ(event.step, std::stol(expected.rows[next].fields[0]));
    EXPECT_EQ(event.value, std::stod(expected.rows[next].fields[1]));
    ++next;
  }
  EXPECT_EQ(next, expected.rows.size());
}

TEST(EventLog, ReadsAPrefixOfAnyLength) {
  const TemporaryFolder folder;
  const std::string bytes = read_text(written_log(folder.path));
  const std::filesystem::path cut = folder.path / "cut";
  std::size_t most = 0, truncated = 0;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    write_bytes(cut, bytes.substr(0, size));
    const ScalarLog log = read_scalars(cut);
    EXPECT_GE(log.events.size(), most);
    EXPECT_EQ(log.truncated, log.valid_size != size);
    most = log.events.size();
    truncated += log.truncated ? 1 : 0;
  }
  EXPECT_EQ(most, 3u);
  EXPECT_EQ(truncated, bytes.size() + 1 - 5);  // whole: nothing, the version, three scalars
}

TEST(EventLog, NamesFileAndOffsetOfADamagedRecord) {
  const TemporaryFolder folder;
  const std::string bytes = read_text(written_log(folder.path));
  const std::filesystem::path damaged = folder.path / "damaged";
  const std::size_t first = 12 + static_cast<unsigned char>(bytes[0]) + 4;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    write_bytes(damaged, changed);
    const std::string message = failure_of(damaged);
    EXPECT_THAT(message, AllOf(HasSubstr(damaged.string()), HasSubstr("damaged record at byte")));
    const std::size_t start = at < first ? 0 : first;
    if (at > first) continue;
    EXPECT_THAT(message, HasSubstr("at byte " + std::to_string(start) + ":"));
  }
}

TEST(EventLog, RefusesAMessageThatIsNoEvent) {
  const TemporaryFolder folder;
  const std::string message = "\xff\xff\xff";
  std::string record(12, '\0');
  record[0] = 3;
  const std::uint32_t length_sum = masked_crc32c(record.data(), 8);
  std::memcpy(record.data() + 8, &length_sum, 4);
  const std::uint32_t sum = masked_crc32c(message.data(), message.size());
  record += message + std::string(reinterpret_cast<const char*>(&sum), 4);
  write_bytes(folder.path / "log", record);
  EXPECT_THAT(failure_of(folder.path / "log"), HasSubstr("are not an event message"));
}

}  // namespace
}  // namespace rankfold
