<?php
// A site of Laravel's parts (container, router, exception handler, database) that reads and writes.

error_reporting(E_ALL & ~E_DEPRECATED);
// Debian's package loads the parts, but not the folder that holds them together.
require 'Illuminate/autoload.php';
spl_autoload_register(function (string $class) {
    $file = '/usr/share/php/' . strtr($class, '\\', '/') . '.php';
    if (str_starts_with($class, 'Illuminate\\Foundation') && is_file($file)) {
        require $file;
    }
});
require 'Illuminate/Foundation/helpers.php';
require __DIR__ . '/laravel_frostgate.php';

use Illuminate\Config\Repository;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Database\DatabaseServiceProvider;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Foundation\Http\Kernel;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Facade;
use Illuminate\Support\Facades\Route;
use Psr\Log\LoggerInterface;
use Psr\Log\NullLogger;

class Note extends Model
{
    public $timestamps = false;
    protected $guarded = [];
}

class SiteHandler extends Handler
{
    public function register()
    {
        $this->renderable(fn (Throwable $error) => frostgate_refused($error));
    }
}

class SiteKernel extends Kernel
{
    protected $bootstrappers = [];
}

$app = new Application(sys_get_temp_dir());
$app->instance('config', new Repository([
    'app' => ['debug' => false],
    'view' => ['paths' => [], 'compiled' => sys_get_temp_dir()],
    'database' => ['default' => 'pgsql', 'connections' => ['pgsql' => [
        'driver' => 'pgsql', 'host' => getenv('PGHOST'), 'port' => getenv('PGPORT'), 'database' => getenv('PGDATABASE'),
        'username' => getenv('PGUSER'), 'password' => getenv('PGPASSWORD'), 'charset' => 'utf8', 'prefix' => '',
    ]]],
]));
$app->instance(LoggerInterface::class, new NullLogger());
$app->singleton(ExceptionHandler::class, SiteHandler::class);
Facade::setFacadeApplication($app);
foreach ([DatabaseServiceProvider::class, Illuminate\Filesystem\FilesystemServiceProvider::class,
    Illuminate\View\ViewServiceProvider::class] as $provider) {
    $app->register($provider);
}
$app->boot();
Route::get('/notes', fn () => (frostgate_read_only() ? '<p class=banner>Under maintenance.</p>' : '') . Note::all()->count() . ' notes');
Route::post('/notes', function () {
    Note::create(['body' => request('body')]);

    return response('', 201);
});
$kernel = $app->make(SiteKernel::class);

$get = function (string $when) use ($kernel) {
    $answer = $kernel->handle(Request::create('/notes'));
    $parts = explode('>', $answer->getContent());
    echo "$when: ", $answer->getStatusCode(), ' ', end($parts), count($parts) > 1 ? ', with a banner' : '', "\n";
};
$post = function (string $when, string $body) use ($kernel) {
    $answer = $kernel->handle(Request::create('/notes', 'POST', ['body' => $body]));
    $later = $answer->headers->get('Retry-After');
    echo "$when: ", $answer->getStatusCode(), $later === null ? '' : " Retry-After $later", "\n";
};
$turn = function (string $command) {
    exec(getenv($command), $said, $status);
    assert($status === 0);
};

$get('open, GET');
$post('open, POST', 'before');
if ($argv[1] === 'frozen') {
    $turn('FREEZE');
    $get('frozen, GET');
    $post('frozen, POST', 'refused');
    $get('frozen, GET after it');
    $turn('THAW');
}
$post('thawed, POST', 'after');
$post('thawed, POST again', 'after, in the pool');
$get('thawed, GET');
