#include "operator/kube/cpprest_stream.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

namespace mo::kube::cpprest {
namespace {

using std::chrono::steady_clock;

constexpr size_t inbox_limit = 1u << 20;  // then the connection is not read until the caller has caught up

// All that a stream buffer must have and neither of ours needs.
class BareBuffer : public concurrency::streams::details::streambuf_state_manager<uint8_t> {
 public:
  using concurrency::streams::details::streambuf_state_manager<uint8_t>::streambuf_state_manager;
  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return static_cast<pos_type>(traits::eof()); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override {
    return static_cast<pos_type>(traits::eof());
  }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return static_cast<pos_type>(traits::eof());
  }
  // The library closes a buffer whose task failed and waits for that on its only thread; its own close() has
  // a continuation to run there first, and neither would ever end. These are done at once.
  pplx::task<void> close(std::ios_base::openmode mode) override {
    if (mode & std::ios_base::in) m_stream_can_read = false;
    if (mode & std::ios_base::out) m_stream_can_write = false;
    return pplx::task_from_result();
  }
  pplx::task<void> close(std::ios_base::openmode mode, std::exception_ptr problem) override {
    if (!m_currentException) m_currentException = problem;
    return close(mode);
  }
  bool acquire(uint8_t*&, size_t&) override { return false; }
  void release(uint8_t*, size_t) override {}

 protected:
  pplx::task<int_type> _putc(uint8_t) override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<size_t> _putn(const uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }
  pplx::task<int_type> _bumpc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<int_type> _ungetc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<size_t> _getn(uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }
  size_t _scopy(uint8_t*, size_t) override { return 0; }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  uint8_t* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}
};

// Where the library writes an answer's body.
class ResponseBuffer final : public BareBuffer {
 public:
  explicit ResponseBuffer(std::shared_ptr<Inbox> inbox)
      : BareBuffer(std::ios_base::out), inbox_(std::move(inbox)) {}

 private:
  pplx::task<size_t> _putn(const uint8_t* data, size_t count) override {
    return inbox_->put_bytes(data, count);
  }
  pplx::task<int_type> _putc(uint8_t byte) override {
    return inbox_->put_bytes(&byte, 1).then([byte](size_t) -> int_type { return byte; });
  }
  const std::shared_ptr<Inbox> inbox_;
};

// Where the library reads a request's body, once.
class RequestBuffer final : public BareBuffer {
 public:
  explicit RequestBuffer(std::string body) : BareBuffer(std::ios_base::in), body_(std::move(body)) {}

 private:
  pplx::task<size_t> _getn(uint8_t* into, size_t room) override {
    const size_t take = std::min(room, body_.size() - taken_);
    std::copy_n(body_.data() + taken_, take, into);
    taken_ += take;
    return pplx::task_from_result(take);
  }
  const std::string body_;
  size_t taken_ = 0;
};

}  // namespace

void Inbox::put_head(HttpResponse head) {
  const std::lock_guard lock(mutex_);
  head_ = std::move(head);
  touch();
}

pplx::task<size_t> Inbox::put_bytes(const uint8_t* data, size_t count) {
  // A chunk size of -1 comes here as 2^64-1 bytes that nobody read.
  if (count > SIZE_MAX / 2) return pplx::task_from_exception<size_t>(std::length_error("bad chunk size"));
  const std::lock_guard lock(mutex_);
  if (left_) return pplx::task_from_exception<size_t>(std::runtime_error("nobody waits for this"));
  bytes_.append(reinterpret_cast<const char*>(data), count);
  touch();
  if (bytes_.size() < inbox_limit) return pplx::task_from_result(count);
  room_.emplace(pplx::task_completion_event<size_t>(), count);
  return pplx::create_task(room_->first);
}

void Inbox::finish(std::exception_ptr problem) {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  problem_ = problem;
  touch();
}

Inbox::News Inbox::wait(steady_clock::time_point until, const std::stop_token& stop, std::string& bytes,
                        bool head_alone) {
  std::optional<std::pair<pplx::task_completion_event<size_t>, size_t>> room;
  {
    std::unique_lock lock(mutex_);
    const bool news = changed_.wait_until(
        lock, stop, until, [&] { return finished_ || (head_ && (head_alone || !bytes_.empty())); });
    if (stop.stop_requested()) return News::Stopped;
    if (!news) return News::Deadline;
    bytes.clear();
    bytes.swap(bytes_);
    room.swap(room_);
  }
  if (room) room->first.set(room->second);  // without the lock: it may start the next put_bytes
  return News::Some;
}

void Inbox::leave() {
  std::optional<std::pair<pplx::task_completion_event<size_t>, size_t>> room;
  {
    const std::lock_guard lock(mutex_);
    left_ = true;
    bytes_ = {};
    room.swap(room_);
  }
  if (room) room->first.set(room->second);
}

std::optional<HttpResponse> Inbox::head() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

bool Inbox::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_ && bytes_.empty();
}

std::exception_ptr Inbox::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

steady_clock::time_point Inbox::last_news() const {
  const std::lock_guard lock(mutex_);
  return last_news_;
}

void Inbox::touch() {
  last_news_ = steady_clock::now();
  changed_.notify_all();
}

concurrency::streams::ostream response_stream(std::shared_ptr<Inbox> inbox) {
  const auto buffer = std::make_shared<ResponseBuffer>(std::move(inbox));
  return concurrency::streams::streambuf<uint8_t>(buffer).create_ostream();
}

concurrency::streams::istream request_stream(std::string body) {
  const auto buffer = std::make_shared<RequestBuffer>(std::move(body));
  return concurrency::streams::streambuf<uint8_t>(buffer).create_istream();
}

}  // namespace mo::kube::cpprest
