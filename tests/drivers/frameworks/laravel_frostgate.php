<?php
// A refused write becomes a 503, and pages show a banner for as long as writes are refused.

use Illuminate\Database\QueryException;
use Illuminate\Support\Facades\DB;

/** In app/Exceptions/Handler.php: what render() answers; null leaves the exception to Laravel. */
function frostgate_refused(Throwable $error)
{
    return $error instanceof QueryException && $error->getCode() === '25006'
        ? response('Under maintenance: reading only.', 503, ['Retry-After' => 60])
        : null;
}

/** For View::share or a view composer: whether writes are refused now. */
function frostgate_read_only(): bool
{
    return DB::selectOne("SELECT current_setting('transaction_read_only') AS value")->value === 'on';
}
