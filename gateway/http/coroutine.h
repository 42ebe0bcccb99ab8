#ifndef GATEWAY_HTTP_COROUTINE_H_
#define GATEWAY_HTTP_COROUTINE_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status/status_macros.h"

// GCC 12 takes Asio's recycling allocator of coroutine frames for a mismatch.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

// Words for coroutines over Asio. A coroutine runs on its connection's I/O thread and never blocks.
namespace slipway::gateway {

namespace asio = boost::asio;
using boost::system::error_code;

template <typename T>
using Awaitable = asio::awaitable<T>;

// Completion token of a coroutine that wants the error as a value.
inline auto Into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace slipway::gateway

// As RETURN_IF_ERROR and ASSIGN_OR_RETURN, in a coroutine that returns a Status or StatusOr.
#define CO_RETURN_IF_ERROR(expr)          \
  do {                                    \
    absl::Status status_ = (expr);        \
    if (!status_.ok()) co_return status_; \
  } while (false)

#define CO_ASSIGN_OR_RETURN(lhs, expr) \
  SLIPWAY_CO_ASSIGN_OR_RETURN_(SLIPWAY_CONCAT_(statusor_, __LINE__), lhs, expr)
#define SLIPWAY_CO_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  if (!tmp.ok()) co_return std::move(tmp).status();  \
  lhs = *std::move(tmp)

#endif  // GATEWAY_HTTP_COROUTINE_H_
