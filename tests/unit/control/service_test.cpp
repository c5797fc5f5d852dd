#include "supervisor/control/service.hpp"

#include <catch2/catch.hpp>

using namespace orlop;
using namespace orlop::control;

namespace {

struct Waiting {
  std::shared_ptr<int> somebody = std::make_shared<int>();
  std::vector<Result<std::string>> answers = {};
  Reply<std::string> reply() {
    return {[this](Result<std::string> answer) { answers.push_back(std::move(answer)); }, somebody};
  }
};

}  // namespace

TEST_CASE("a reply is sent once", "[control]") {
  Waiting waiting;
  Reply<std::string> reply = waiting.reply();
  CHECK(reply.is_awaited());
  reply.answer("first");
  CHECK_FALSE(reply.is_awaited());
  reply.answer("second");
  Reply<std::string> moved = std::move(reply);
  moved.answer("third");
  REQUIRE(waiting.answers.size() == 1);
  CHECK(*waiting.answers[0] == "first");
}

TEST_CASE("a reply that is forgotten tells the caller so", "[control]") {
  Waiting waiting;
  {
    const Reply<std::string> reply = waiting.reply();
  }
  REQUIRE(waiting.answers.size() == 1);
  CHECK(waiting.answers[0].error().kind == ErrorKind::internal);
}

TEST_CASE("a reply that replaces another leaves neither without an answer", "[control]") {
  Waiting first;
  Waiting second;
  {
    Reply<std::string> kept = first.reply();
    kept = second.reply();
    kept.answer("done");
  }
  CHECK(first.answers.size() == 1);
  REQUIRE(second.answers.size() == 1);
  CHECK(*second.answers[0] == "done");
}

TEST_CASE("a kept reply shows when nobody waits any more", "[control]") {
  Waiting waiting;
  Reply<std::string> reply = waiting.reply();
  waiting.somebody.reset();
  CHECK_FALSE(reply.is_awaited());
}
