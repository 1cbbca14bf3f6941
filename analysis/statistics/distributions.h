#pragma once

namespace rankfold {

/// The regularised incomplete beta function I_x(a, b) = 1/B(a, b) int_0^x t^(a-1) (1-t)^(b-1) dt,
/// by its continued fraction (DLMF 8.17.22, evaluated with Lentz's method); where that converges
/// slowly by I_x(a, b) = 1 - I_(1-x)(b, a). Relative error below 1e-12 up to a + b of hundreds,
/// below 1e-10 up to thousands. Throws Error unless a > 0, b > 0 and 0 <= x <= 1.
double incomplete_beta(double a, double b, double x);

/// P(|T| >= |t|) of Student's t with nu > 0 degrees of freedom: I_(nu / (nu + t^2))(nu/2, 1/2).
/// Throws Error for nu <= 0 and for t that is not a number.
double student_t_two_sided(double t, double degrees_of_freedom);

/// The t with P(|T| <= t) = confidence, by bisection: 12.706 for 0.95 and one degree of freedom.
/// Throws Error unless 0 < confidence < 1 and nu > 0.
double student_t_quantile(double confidence, double degrees_of_freedom);

/// P(|Z| >= |z|) of the standard normal distribution: erfc(|z| / sqrt 2).
double normal_two_sided(double z);

}  // namespace rankfold
