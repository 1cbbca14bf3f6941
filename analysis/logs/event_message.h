#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace rankfold {

namespace tensorboard {
class Event;
}

/// A scalar as it stands in an event; `tag` is valid until the next message is read.
struct ScalarView {
  double wall_time = 0;  ///< seconds since 1970
  std::int64_t step = 0;
  std::string_view tag;
  double value = 0;
};

/// Reads TensorBoard's event messages, one after another.
class EventMessage {
 public:
  EventMessage();
  ~EventMessage();

  /// The scalars of an event's summary: `simple_value`, and numerical tensors of one element, in
  /// typed values or in `tensor_content`, as SummaryWriter, tf.summary and TensorBoardX write them.
  /// Other summaries (text, histograms, images, ...) are skipped. False where the bytes are no
  /// event message.
  bool read(std::string_view bytes, std::vector<ScalarView>& scalars);

  // Of the event read last.
  std::int64_t step() const;
  /// It marks a start: what was logged before at its step or later is void.
  bool is_start() const;
  /// It tells the format's version: a writer that also marks its starts.
  bool has_version() const;

 private:
  std::unique_ptr<tensorboard::Event> event_;  // kept, with the memory it took
};

}  // namespace rankfold
