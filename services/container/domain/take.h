#ifndef SERVICES_CONTAINER_DOMAIN_TAKE_H_
#define SERVICES_CONTAINER_DOMAIN_TAKE_H_

namespace slipway::container {

// What a request that changes something says nothing of, its zero value, stays as it is.
template <typename T>
void Take(const T& from, T& to) {
  if (from != T{}) to = from;
}

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_TAKE_H_
